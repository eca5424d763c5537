// arqonhpo doctor: what of a running engine can be tuned, why the rest cannot, and what to do next.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "apps/arqonhpo/doctor_state.h"
#include "apps/arqonhpo/url_text.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/adapters/adapter.h"
#include "arqon/os/process.h"
#include "arqon/wire/diagnostic.h"
#include "arqon/wire/json.h"

namespace arqon::app {
namespace {

using adapters::Adapter;
using adapters::KnobReport;
using adapters::Probe;

// What was asked and what was found.
struct Finding {
  std::string engine, url;
  Probe probe;
};

// In the order people want to read them.
std::size_t rank_of(std::string_view access) {
  constexpr std::array<std::string_view, 5> kOrder = {"live", "reload", "restart", "request",
                                                      "absent"};
  return static_cast<std::size_t>(std::find(kOrder.begin(), kOrder.end(), access) -
                                  kOrder.begin());
}

std::string engine_list() {
  std::string out;
  for (const Adapter& adapter : adapters::registry()) {
    out += fmt::format("  {:<14} {}\n", adapter.name, adapter.about);
  }
  return out;
}

Status show_engines(bool json, Console& console) {
  if (!json) {
    return console.data("Engines this program can attach to\n" + engine_list() +
                        "\nThen: arqonhpo doctor ENGINE URL\n");
  }
  wire::Array list;
  for (const Adapter& adapter : adapters::registry()) {
    list.push_back(wire::Object{{"name", adapter.name}, {"about", adapter.about}});
  }
  return console.data(
      wire::write_json(wire::Object{{"schema", 1}, {"engines", std::move(list)}}, 2) + "\n");
}

std::string knob_lines(const Probe& probe, const Console& console) {
  std::vector<KnobReport> knobs = probe.knobs;
  std::stable_sort(knobs.begin(), knobs.end(), [](const KnobReport& a, const KnobReport& b) {
    return rank_of(a.access) < rank_of(b.access);
  });
  constexpr int kGap = 2;
  std::size_t name = 4, engine = 13, access = 7;
  for (const KnobReport& knob : knobs) {
    name = std::max(name, knob.name.size());
    engine = std::max(engine, knob.engine_name.size());
    access = std::max(access, knob.access.size());
  }
  const auto row = [&](const std::string& a, const std::string& b, const std::string& c,
                       const std::string& d) {
    std::string line = fmt::format("{:<{}}{:<{}}{:<{}}{}", a, name + kGap, b, engine + kGap, c,
                                   access + kGap, d);
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
  };
  std::string out = console.bold(row("knob", "in the engine", "access", "value"));
  for (const KnobReport& knob : knobs) {
    out += row(knob.name, knob.engine_name, knob.access, knob.value);
    if (!knob.why.empty()) out += wrapped(knob.why, console.width(), 4);
  }
  return out;
}

std::string human(const Finding& finding, const Console& console) {
  const Probe& probe = finding.probe;
  std::string out;
  if (probe.reachable) {
    const serving::Identity& who = probe.identity;
    out = fmt::format("{} at {}{}{}{}{}\n", console.bold(who.engine), finding.url,
                      who.model.empty() ? "" : ", model ", who.model,
                      who.hardware.empty() ? "" : ", on ", who.hardware);
    const auto live = std::count_if(probe.knobs.begin(), probe.knobs.end(),
                                    [](const KnobReport& k) { return k.access == "live"; });
    out += fmt::format("{} of {} knobs move while it serves\n\n", live, probe.knobs.size());
    if (!probe.knobs.empty()) out += knob_lines(probe, console);
  } else {
    out = fmt::format("{}: no {} answers there\n", finding.url, finding.engine);
  }
  if (!probe.notes.empty()) out += "\n" + console.bold("Found") + "\n";
  for (const std::string& note : probe.notes) out += wrapped("- " + note, console.width(), 2);
  if (!probe.next.empty()) out += "\n" + console.bold("Next") + "\n";
  // Commands are for copying: never broken into lines.
  for (std::size_t i = 0; i < probe.next.size(); ++i) {
    out += fmt::format("  {}. {}\n", i + 1, probe.next[i]);
  }
  return out;
}

std::string json(const Finding& finding) {
  const Probe& probe = finding.probe;
  wire::Array knobs;
  for (const KnobReport& knob : probe.knobs) {
    knobs.push_back(wire::Object{{"name", knob.name},
                                 {"engine_name", knob.engine_name},
                                 {"access", knob.access},
                                 {"value", knob.value},
                                 {"why", knob.why}});
  }
  const wire::Object out{
      {"schema", 1},
      {"engine", finding.engine},
      {"url", finding.url},
      {"reachable", probe.reachable},
      {"identity", wire::Object{{"engine", probe.identity.engine},
                                {"model", probe.identity.model},
                                {"hardware", probe.identity.hardware}}},
      {"knobs", std::move(knobs)},
      {"notes", wire::Array(probe.notes.begin(), probe.notes.end())},
      {"next", wire::Array(probe.next.begin(), probe.next.end())}};
  return wire::write_json(out, 2) + "\n";
}

Result<Finding> ask(const Adapter& adapter, const std::string& url, Clock& clock) {
  auto probe = adapter.probe(url, clock);
  if (!probe) return tl::unexpected(probe.error().with_context(adapter.name));
  return Finding{std::string(adapter.name), without_credentials(url), std::move(*probe)};
}

// Asks every engine's adapter; whoever recognises its own wins, the most telling first.
Result<Finding> guess(const std::string& url, Clock& clock) {
  std::optional<Finding> best;
  for (const Adapter& adapter : adapters::registry()) {
    auto found = ask(adapter, url, clock);
    if (!found || !found->probe.reachable) continue;
    const bool own = found->probe.identity.engine.starts_with(adapter.name);
    if (!own && best) continue;
    if (!best || found->probe.knobs.size() > best->probe.knobs.size()) best = std::move(*found);
  }
  if (best) return std::move(*best);
  return fail(ErrorCode::kUnavailable,
              fmt::format("no engine of this program answers at {}; name it to see why:\n{}",
                          without_credentials(url), engine_list()));
}

bool looks_like_place(std::string_view word) {
  return word.find_first_of(":/") != std::string_view::npos;
}

Result<Finding> examine(const DoctorArgs& args, Clock& clock) {
  const std::string& first = args.words.front();
  const Adapter* adapter = adapters::find(first);
  if (adapter == nullptr && args.words.size() == 1 && looks_like_place(first)) {
    return guess(first, clock);
  }
  if (adapter == nullptr) {
    std::vector<std::string> names;
    for (const Adapter& known : adapters::registry()) names.emplace_back(known.name);
    const std::string near = wire::nearest_name(first, names);
    return fail(ErrorCode::kUsage,
                fmt::format("there is no engine \"{}\"{}; known:\n{}", first,
                            near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near),
                            engine_list()));
  }
  if (args.words.size() == 1) {
    return fail(ErrorCode::kUsage, fmt::format("where is it? e.g. arqonhpo doctor {} "
                                               "http://127.0.0.1:8000",
                                               first));
  }
  return ask(*adapter, args.words[1], clock);
}

Status doctor(const DoctorArgs& args, Console& console) {
  if (args.words.empty()) return show_engines(args.json, console);
  os::SystemClock clock;
  const auto finding = examine(args, clock);
  if (!finding) return tl::unexpected(finding.error());
  const Status told = console.data(args.json ? json(*finding) : human(*finding, console));
  if (!told || finding->probe.reachable) return told;
  return fail(ErrorCode::kUnavailable,
              fmt::format("no {} answers at {}", finding->engine, finding->url));
}

}  // namespace

int run_doctor(const DoctorArgs& args, Console& console) {
  if (!args.state.empty()) {
    const Result<int> examined = examine_state(args.state, args.json, console);
    return examined ? *examined : console.complain(examined.error());
  }
  const Status done = doctor(args, console);
  return done ? 0 : console.complain(done.error());
}

}  // namespace arqon::app
