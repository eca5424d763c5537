#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "arqon/report/panels.h"
#include "arqon/report/phases.h"
#include "arqon/report/report.h"
#include "arqon/report/run_series.h"
#include "arqon/report/style.h"
#include "arqon/report/tables.h"
#include "arqon/report/verdict.h"
#include "arqon/report/words.h"

namespace arqon::report {
namespace {

// Keeps the whole file near 1.5 MB: plots of a big scenario take up to about 600 kB.
constexpr std::size_t kDecisionBytesMax = 700'000;

std::string_view tone_class(Tone tone) {
  if (tone == Tone::kGain) return "gain";
  return tone == Tone::kLoss ? "loss" : "even";
}

std::string list(const std::vector<std::string>& sentences) {
  if (sentences.size() == 1) return "<p>" + escape(sentences.front()) + "</p>";
  std::string out = "<ul>";
  for (const std::string& sentence : sentences) out += "<li>" + escape(sentence) + "</li>";
  return out + "</ul>";
}

std::string answer(std::string_view question, const std::string& html) {
  return fmt::format("<dt>{}</dt><dd>{}</dd>", question, html);
}

std::string verdict_section(const documents::TuneResult& result,
                            const documents::Scenario& scenario) {
  const Verdict v = verdict(result, scenario);
  std::string out = fmt::format(
      R"(<section class="verdict {}"><p class="tone">{}</p><p class="headline">{}</p></section>)",
      tone_class(v.tone), to_string(v.tone), escape(v.headline));
  out += R"(<dl class="answers">)";
  out += answer("What changed?", "<p>" + escape(v.changed) + "</p>");
  if (!v.why.empty()) out += answer("Why?", list(v.why));
  if (!v.brought.empty()) out += answer("What did it bring?", list(v.brought));
  out += answer("What would hindsight have done?", "<p>" + escape(v.hindsight) + "</p>");
  if (!result.remarks.empty()) out += answer("Remarks", list(result.remarks));
  return out + "</dl>";
}

std::string comparison_section(const documents::TuneResult& result) {
  return "<h2>All strategies side by side</h2><p class=\"note\">Every strategy met the same "
         "requests "
         "and the same noise, under the same guardrails, and paid for its own exploration from the "
         "first second. Figures are medians over seeds; ticks in the bars are single seeds.</p>" +
         measure_bars(result) + comparison_table(result) +
         "<p class=\"note\">A request is good when it finished uncut and met every limit of its "
         "class; everything else that arrived counts as bad. Changes count every step of every "
         "knob. Cost is what the whole fleet was paid "
         "over the output tokens of good requests. Excess is the measure minus hindsight's. "
         "Capture "
         "is the part of the oracle's lead over yesterday that was reached; it is left out where "
         "that lead is too small to be real. Recovery is the time from a shift to the first ten "
         "minutes near the oracle.</p>";
}

std::string time_section(const documents::TuneResult& result, const documents::Scenario& scenario,
                         const documents::StrategyRun& run) {
  return fmt::format(
      "<h2>What happened over time</h2><p class=\"note\">This shows {}, seed {}: the first seed of "
      "the run. Dotted vertical lines mark the moments when the traffic shifts.</p>{}",
      escape(run.strategy), run.seed, panels_html(result, scenario, run));
}

std::string decisions_section(const documents::Scenario& scenario,
                              const documents::StrategyRun& run) {
  return fmt::format(
      "<h2>Decisions</h2><p class=\"note\">Every decision of {}, seed {}. Bad before and after are "
      "shares of the requests that were counted for and against the change.</p>{}",
      escape(run.strategy), run.seed, decisions_table(run, scenario, kDecisionBytesMax));
}

std::string head(const documents::TuneResult& result) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
      "<title>{} \xE2\x80\x93 ArqonHPO report</title><style>{}</style></head><body><main>",
      escape(result.scenario), style_sheet());
}

}  // namespace

std::string html(const documents::TuneResult& result, const documents::Scenario& scenario) {
  std::string out = head(result);
  fmt::format_to(
      std::back_inserter(out),
      "<p class=\"eyebrow\">ArqonHPO tuning report</p><h1>{}</h1><p class=\"lead\">{}</p>",
      escape(result.scenario), escape(scenario_sentence(scenario)));
  out += verdict_section(result, scenario);
  out += phases_section(result);
  if (!result.summary.empty()) out += comparison_section(result);
  const documents::StrategyRun* run = shown_run(result);
  if (run != nullptr) {
    out += time_section(result, scenario, *run);
    out += decisions_section(scenario, *run);
    out += "<h2>Seed by seed</h2><p class=\"note\">Share of requests that were not good.</p>" +
           seeds_table(result);
  }
  out +=
      "<h2>What was promised, what may move</h2><p class=\"note\">Limits of each class, and the "
      "guardrails of each knob.</p>" +
      classes_table(scenario) + knobs_table(scenario);
  fmt::format_to(
      std::back_inserter(out),
      "<footer>Build {}. Measure of this scenario: {}.</footer></main><script>{}</script>"
      "</body></html>\n",
      escape(result.build), escape(result.measure), script());
  return out;
}

}  // namespace arqon::report
