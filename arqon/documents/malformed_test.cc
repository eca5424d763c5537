// Every malformed document gets diagnostics that name the place, at once, and nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "arqon/documents/example_test_documents.h"
#include "arqon/documents/malformed_test_cases.h"
#include "arqon/documents/scenario.h"
#include "arqon/documents/study.h"
#include "arqon/wire/json.h"

namespace arqon::documents {
namespace {

// What a reader waits; builds without optimisation and with sanitizers are slower by their nature.
#ifdef __OPTIMIZE__
constexpr double kSecondsMax = 1;
#else
constexpr double kSecondsMax = 20;
#endif

using Parse = std::function<wire::Diagnostics(std::string_view)>;

// What parsing says; empty when it accepts the document.
wire::Diagnostics study_errors(std::string_view text) {
  const auto study = parse_study(text);
  return study ? wire::Diagnostics{} : study.error();
}
wire::Diagnostics scenario_errors(std::string_view text) {
  const auto scenario = parse_scenario(text, "scenario.json");
  return scenario ? wire::Diagnostics{} : scenario.error();
}

std::pair<int, int> place_of(const std::string& text, std::size_t offset) {
  int line = 1, column = 1;
  for (std::size_t i = 0; i < offset; ++i) {
    ++column;
    if (text[i] == '\n') {
      ++line;
      column = 1;
    }
  }
  return {line, column};
}

void expect_refused(const MalformedCase& c, const Parse& parse) {
  const std::clock_t begin = std::clock();  // of this process: other load does not count
  const wire::Diagnostics errors = parse(c.text);
  const double took_s = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  ASSERT_FALSE(errors.empty()) << c.name << " was accepted";
  EXPECT_LT(took_s, kSecondsMax) << c.name;
  EXPECT_LE(errors.size(), 201u) << c.name;
  const auto found = std::find_if(errors.begin(), errors.end(), [&](const auto& d) {
    return c.path.empty() || d.path == c.path;
  });
  if (found == errors.end()) {
    std::string said;
    for (const auto& d : errors) said += wire::to_string(d, c.name) + "\n";
    ADD_FAILURE() << c.name << " should name " << c.path << "; said\n" << said;
    return;
  }
  EXPECT_FALSE(found->message.empty()) << c.name;
  EXPECT_LT(wire::to_string(*found, c.name).size(), 1000u) << c.name;
  EXPECT_NE(found->hint.find(c.hint), std::string::npos) << c.name << ": " << found->hint;
  if (c.at.empty()) return;
  EXPECT_EQ(std::pair(found->line, found->column), place_of(c.text, c.text.find(c.at)))
      << c.name << ": " << wire::to_string(*found, c.name);
}

TEST(Malformed, each_study_is_refused_with_its_place) {
  const auto cases = malformed_studies();
  EXPECT_GE(cases.size(), 60u);
  for (const MalformedCase& c : cases) expect_refused(c, study_errors);
}

TEST(Malformed, each_scenario_is_refused_with_its_place) {
  const auto cases = malformed_scenarios();
  EXPECT_GE(cases.size(), 100u);
  for (const MalformedCase& c : cases) expect_refused(c, scenario_errors);
}

// Visits every value inside `value`, with its path.
void each_value(wire::Value& value, const std::string& path,
                const std::function<void(wire::Value&, const std::string&)>& visit) {
  if (wire::Object* object = value.as_object()) {
    for (auto& [key, member] : *object) {
      const std::string inner = path.empty() ? key : path + "." + key;
      visit(member, inner);
      each_value(member, inner, visit);
    }
  } else if (wire::Array* array = value.as_array()) {
    for (std::size_t i = 0; i < array->size(); ++i) {
      const std::string inner = path + "[" + std::to_string(i) + "]";
      visit((*array)[i], inner);
      each_value((*array)[i], inner, visit);
    }
  }
}

wire::Value wrong_type(const wire::Value& value) {
  if (value.is_number()) return "text";
  if (value.as_string() != nullptr) return 3.5;
  if (value.as_bool() != nullptr) return "yes";
  if (value.as_array() != nullptr) return wire::Object{{"zz", 1}};
  return wire::Array{};
}

// Replaces each value of `base` in turn, by null and by a value of another type, and each number
// by NaN, infinities and 1e999.
int expect_each_key_checked(std::string_view base, const Parse& parse) {
  wire::Value document = wire::parse_json(base).value();
  int tried = 0;
  const auto expect_path = [&](const std::string& text, const std::string& path) {
    ++tried;
    const wire::Diagnostics errors = parse(text);
    const bool named = std::any_of(errors.begin(), errors.end(), [&](const auto& d) {
      return d.path.starts_with(path) && d.line > 0 && d.column > 0;
    });
    EXPECT_TRUE(named) << path << " in\n" << text;
  };
  each_value(document, "", [&](wire::Value& slot, const std::string& path) {
    const wire::Value old = slot;
    for (const wire::Value& bad : {wire::Value(), wrong_type(old)}) {
      slot = bad;
      expect_path(wire::write_json(document, 1), path);
    }
    if (old.is_number()) {
      for (const char* literal : {"NaN", "-Infinity", "1e999", "-1e999"}) {
        slot = "@";
        std::string text = wire::write_json(document, 1);
        text.replace(text.find("\"@\""), 3, literal);
        expect_path(text, path);
      }
    }
    slot = old;
  });
  return tried;
}

TEST(Malformed, each_key_of_a_study_refuses_null_other_types_and_what_is_not_finite) {
  EXPECT_GT(expect_each_key_checked(kEveryKeyStudy, study_errors), 100);
}

TEST(Malformed, each_key_of_a_scenario_refuses_null_other_types_and_what_is_not_finite) {
  EXPECT_GT(expect_each_key_checked(kEveryKeyScenario, scenario_errors), 300);
  EXPECT_GT(expect_each_key_checked(kClosedLoopScenario, scenario_errors), 40);
  EXPECT_GT(expect_each_key_checked(kEveryKeyLive, scenario_errors), 80);
  EXPECT_GT(expect_each_key_checked(kPartlySaidLive, scenario_errors), 40);
}

// A document cut anywhere is refused, never read in part.
TEST(Malformed, every_prefix_of_a_document_is_refused) {
  for (std::size_t length = 0; length < kEveryKeyScenario.size(); length += 7) {
    EXPECT_FALSE(scenario_errors(kEveryKeyScenario.substr(0, length)).empty()) << length;
  }
  for (std::size_t length = 0; length < kEveryKeyStudy.size(); length += 7) {
    EXPECT_FALSE(study_errors(kEveryKeyStudy.substr(0, length)).empty()) << length;
  }
}

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void expect_files(const std::filesystem::path& folder, const std::vector<MalformedCase>& cases) {
  std::size_t files = 0;
  for (const MalformedCase& c : cases) {
    const std::filesystem::path file = folder / (c.name + ".json");
    if (!std::filesystem::exists(file)) continue;
    EXPECT_TRUE(text_of(file) == c.text) << file << ": write the corpus again (malformed_corpus)";
    ++files;
  }
  EXPECT_GE(files, 65u);
  EXPECT_EQ(static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder),
                                                   std::filesystem::directory_iterator())),
            files)
      << "a file that the table does not know";
}

TEST(Malformed, the_files_of_the_corpus_are_those_of_the_table) {
  const std::filesystem::path corpus =
      std::filesystem::path(ARQON_SOURCE_DIR) / "tests/corpora/malformed";
  expect_files(corpus / "study", malformed_studies());
  expect_files(corpus / "scenario", malformed_scenarios());
}

}  // namespace
}  // namespace arqon::documents
