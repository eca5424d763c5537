// arqonhpo validate: every mistake of a document at once, or what its guardrails permit.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "apps/arqonhpo/live.h"
#include "apps/arqonhpo/scenario_file.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/documents/scenario.h"
#include "arqon/documents/study.h"
#include "arqon/guard/explain.h"
#include "arqon/wire/json.h"

namespace arqon::app {
namespace {

// What came of one file.
struct Finding {
  std::string file;
  std::string kind = "unknown";  // "scenario" | "study" | "unknown"
  wire::Diagnostics problems;
  std::vector<std::string> permits;
  std::string effective;  // the document with its defaults filled in
};

wire::Diagnostic neither(const wire::Value& root) {
  wire::Diagnostic d;
  d.line = root.line;
  d.column = root.column;
  d.message = "is neither a scenario (has \"classes\") nor a study (has \"bounds\")";
  const wire::Object* members = root.as_object();
  for (const wire::Member& member : members == nullptr ? wire::Object{} : *members) {
    const std::string near = wire::nearest_name(member.first, {"classes", "bounds"});
    if (!near.empty()) d.hint = fmt::format("\"{}\": did you mean \"{}\"?", member.first, near);
  }
  return d;
}

// What a document says of one knob of an engine that has not been asked yet.
std::string knob_words(const std::string& address, const wire::Value& knob) {
  const auto said = [&](const char* key) -> std::string {
    const wire::Value* value = knob.find(key);
    return value == nullptr ? std::string() : wire::write_json(*value);
  };
  const std::string low = said("min"), high = said("max"), step = said("step");
  if (said("class") == "\"forbidden\"") return address + ": never changed";
  if (low.empty() && high.empty()) {
    return fmt::format("{}: the range that the engine offers{}", address,
                       step.empty() ? "" : ", in steps of " + step);
  }
  return fmt::format("{}: {} to {}{}", address, low.empty() ? "the engine's least" : low,
                     high.empty() ? "the engine's most" : high,
                     step.empty() ? "" : " in steps of " + step);
}

std::string_view mode_words(control::Mode mode) {
  switch (mode) {
    case control::Mode::kObserve:
      return "observe: nothing is changed, nothing proposed";
    case control::Mode::kRecommend:
      return "recommend: nothing is changed; what would be tried is said";
    case control::Mode::kApprove:
      return "approve: an experiment begins when `arqonhpo approve` says so";
    case control::Mode::kAuto:
      return "auto: experiments begin by themselves";
  }
  return "";
}

// What is known of a live scenario before anything is attached to.
void check_live(const documents::Scenario& scenario, const wire::Value& root, Finding& finding) {
  if (Status known = check_engine(scenario); !known) {
    const wire::Value* engine = root.find("target")->find("engine");
    finding.problems.push_back({.path = "target.engine",
                                .line = engine->line,
                                .column = engine->column,
                                .value = wire::write_json(*engine),
                                .message = known.error().message});
    return;
  }
  finding.permits.emplace_back(mode_words(scenario.mode));
  if (scenario.knobs_complete()) {
    for (std::string& line : guard::explain(scenario.knobs, scenario.guardrails)) {
      finding.permits.push_back(std::move(line));
    }
  } else if (const wire::Object* knobs = scenario.live_knobs.as_object();
             knobs != nullptr && !knobs->empty()) {
    for (const auto& [address, knob] : *knobs) finding.permits.push_back(knob_words(address, knob));
  } else {
    finding.permits.emplace_back("every knob that the engine offers, in the engine's own range");
  }
  finding.permits.push_back(
      fmt::format("whether {} offers these knobs and ranges is known when `arqonhpo tune` attaches",
                  scenario.target_engine));
}

// The default setting with what `text`, a JSON object, says in its place.
std::optional<Config> setting_of(const std::string& text, const std::string& name,
                                 const Space& space, Finding& finding) {
  wire::Value whole =
      *wire::parse_json(documents::params_to_json(space, space.default_config()));
  const auto written = wire::parse_json(text.empty() ? "{}" : text);
  if (!written) {
    finding.problems.push_back(written.error());
    return std::nullopt;
  }
  wire::Object& members = *whole.as_object();
  for (const auto& [key, value] : written->as_object() == nullptr ? wire::Object{}
                                                                   : *written->as_object()) {
    const auto at = std::find_if(members.begin(), members.end(),
                                 [&](const wire::Member& m) { return m.first == key; });
    if (at == members.end()) {
      members.emplace_back(key, value);
    } else {
      at->second = value;
    }
  }
  const auto config = documents::parse_params(wire::write_json(whole), space);
  if (config) return *config;
  for (wire::Diagnostic problem : config.error()) {
    problem.path = "--" + name + (problem.path.empty() ? "" : " " + problem.path);
    problem.line = problem.column = 0;
    finding.problems.push_back(std::move(problem));
  }
  return std::nullopt;
}

// How long the way from one setting to another takes, when asked.
void add_journey(const ValidateArgs& args, const Space& space, const guard::Guardrails& guardrails,
                 Finding& finding) {
  if (args.from.empty() && args.to.empty()) return;
  const auto from = setting_of(args.from, "from", space, finding);
  const auto to = setting_of(args.to, "to", space, finding);
  if (!from || !to) return;
  const auto way = guard::journey(space, guardrails, *from, *to);
  finding.permits.push_back("from there to there: " +
                            (way ? guard::describe(*way) : way.error().message));
}

void check_scenario(const Document& document, const ValidateArgs& args, Finding& finding) {
  finding.kind = "scenario";
  const auto scenario = documents::parse_scenario(document.text, document.path);
  if (!scenario) {
    finding.problems = scenario.error();
    return;
  }
  if (scenario->live()) {
    check_live(*scenario, *wire::parse_json(document.text), finding);
  } else {
    finding.permits = guard::explain(scenario->knobs, scenario->guardrails);
    add_journey(args, scenario->knobs, scenario->guardrails, finding);
  }
  finding.effective = documents::to_json(*scenario);
}

void check_study(const Document& document, const ValidateArgs& args, Finding& finding) {
  finding.kind = "study";
  const auto study = documents::parse_study(document.text);
  if (!study) {
    finding.problems = study.error();
    return;
  }
  const Space& space = study->config.space;
  const guard::Guardrails guardrails =
      study->guardrails.value_or(documents::default_guardrails(space));
  finding.permits = guard::explain(space, guardrails);
  add_journey(args, space, guardrails, finding);
  finding.effective = documents::to_json(*study);
}

Finding check(const Document& document, const ValidateArgs& args) {
  Finding finding;
  finding.file = document.path.string();
  const auto root = wire::parse_json(document.text);
  if (!root) {
    finding.problems = {root.error()};
  } else if (root->find("fleet") != nullptr || root->find("classes") != nullptr ||
             root->find("target") != nullptr) {
    check_scenario(document, args, finding);
  } else if (root->find("bounds") != nullptr) {
    check_study(document, args, finding);
  } else {
    finding.problems = {neither(*root)};
  }
  return finding;
}

std::string human(const Finding& finding, bool explain, const Console& console) {
  std::string out;
  if (!finding.problems.empty()) {
    for (const wire::Diagnostic& problem : finding.problems) {
      out += wire::to_string(problem, finding.file) + "\n";
    }
    const std::size_t n = finding.problems.size();
    return out + fmt::format("{}: {} {}\n", finding.file, n, n == 1 ? "problem" : "problems");
  }
  if (explain) return finding.effective + "\n";
  out = fmt::format("{}: a good {}\n", finding.file, finding.kind);
  if (!finding.permits.empty()) out += console.bold("The guardrails permit") + "\n";
  for (const std::string& line : finding.permits) out += fmt::format("  {}\n", line);
  return out;
}

wire::Value to_wire(const Finding& finding) {
  wire::Array problems;
  for (const wire::Diagnostic& d : finding.problems) {
    problems.push_back(wire::Object{{"path", d.path},
                                    {"line", d.line},
                                    {"column", d.column},
                                    {"value", d.value},
                                    {"message", d.message},
                                    {"hint", d.hint}});
  }
  wire::Array permits;
  for (const std::string& line : finding.permits) permits.emplace_back(line);
  return wire::Object{{"file", finding.file},
                      {"kind", finding.kind},
                      {"valid", finding.problems.empty()},
                      {"problems", std::move(problems)},
                      {"permits", std::move(permits)}};
}

std::string json(const std::vector<Finding>& findings) {
  wire::Array files;
  for (const Finding& finding : findings) files.push_back(to_wire(finding));
  const bool valid = std::all_of(findings.begin(), findings.end(),
                                 [](const Finding& f) { return f.problems.empty(); });
  return wire::write_json(
             wire::Object{{"schema", 1}, {"valid", valid}, {"files", std::move(files)}}, 2) +
         "\n";
}

Result<bool> validate(const ValidateArgs& args, Console& console) {
  std::vector<Finding> findings;
  for (const std::string& file : args.files) {
    const auto document = find_document(file);
    if (document) {
      findings.push_back(check(*document, args));
    } else if (document.error().code == ErrorCode::kInvalidConfig) {
      findings.push_back({file, "unknown", {{"", 0, 0, "", document.error().message, ""}}, {}, {}});
    } else {
      return tl::unexpected(document.error());
    }
  }
  std::string out;
  bool valid = true;
  for (const Finding& finding : findings) {
    out += human(finding, args.explain, console);
    valid = valid && finding.problems.empty();
  }
  const Status written = console.data(args.json ? json(findings) : out);
  if (!written) return tl::unexpected(written.error());
  return valid;
}

}  // namespace

int run_validate(const ValidateArgs& args, Console& console) {
  const Result<bool> valid = validate(args, console);
  if (!valid) return console.complain(valid.error());
  return *valid ? 0 : exit_code(ErrorCode::kInvalidConfig);
}

}  // namespace arqon::app
