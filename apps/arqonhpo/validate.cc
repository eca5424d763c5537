// arqonhpo validate: every mistake of a document at once, or what its guardrails permit.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

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
  d.message = "is neither a scenario (has \"fleet\") nor a study (has \"bounds\")";
  const wire::Object* members = root.as_object();
  for (const wire::Member& member : members == nullptr ? wire::Object{} : *members) {
    const std::string near = wire::nearest_name(member.first, {"fleet", "bounds"});
    if (!near.empty()) d.hint = fmt::format("\"{}\": did you mean \"{}\"?", member.first, near);
  }
  return d;
}

void check_scenario(const Document& document, Finding& finding) {
  finding.kind = "scenario";
  const auto scenario = documents::parse_scenario(document.text, document.path);
  if (!scenario) {
    finding.problems = scenario.error();
    return;
  }
  finding.permits = guard::explain(scenario->knobs, scenario->guardrails);
  finding.effective = documents::to_json(*scenario);
}

void check_study(const Document& document, Finding& finding) {
  finding.kind = "study";
  const auto study = documents::parse_study(document.text);
  if (!study) {
    finding.problems = study.error();
    return;
  }
  const Space& space = study->config.space;
  finding.permits =
      guard::explain(space, study->guardrails.value_or(documents::default_guardrails(space)));
  finding.effective = documents::to_json(*study);
}

Finding check(const Document& document) {
  Finding finding;
  finding.file = document.path.string();
  const auto root = wire::parse_json(document.text);
  if (!root) {
    finding.problems = {root.error()};
  } else if (root->find("fleet") != nullptr) {
    check_scenario(document, finding);
  } else if (root->find("bounds") != nullptr) {
    check_study(document, finding);
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
      findings.push_back(check(*document));
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
