#include "arqon/calibrate/read_observations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "arqon/wire/csv.h"
#include "arqon/wire/json.h"

namespace arqon::calibrate {
namespace {

constexpr std::size_t kWindowsMax = 100000;
constexpr std::size_t kProblemsMax = 50;

struct Column {
  const char* name;
  double Observation::*value;  // null: allowed and not used
  bool needed = false;
};
constexpr std::array<Column, 16> kColumns = {{
    {"t_s", &Observation::t_s},
    {"seconds", &Observation::seconds, true},
    {"batch_size", &Observation::batch_size},
    {"prefill_token_budget", &Observation::prefill_token_budget},
    {"concurrency", &Observation::concurrency},
    {"running", &Observation::running},
    {"waiting", &Observation::waiting},
    {"kv_use", &Observation::kv_use},
    {"finished", &Observation::finished, true},
    {"prompt_tokens", &Observation::prompt_tokens, true},
    {"output_tokens", &Observation::output_tokens, true},
    {"steps", &Observation::steps},
    {"gap_ms", &Observation::gap_ms},
    {"ttft_ms", &Observation::ttft_ms},
    {"e2e_ms", &Observation::e2e_ms},
    {"load_average", nullptr},
}};

const Column* find_column(std::string_view name) {
  const auto found = std::find_if(kColumns.begin(), kColumns.end(),
                                  [&](const Column& column) { return column.name == name; });
  return found == kColumns.end() ? nullptr : &*found;
}

std::string near_name(std::string_view name) {
  std::vector<std::string> known;
  for (const Column& column : kColumns) known.emplace_back(column.name);
  const std::string near = wire::nearest_name(name, known);
  return near.empty() ? fmt::format("known: {}", fmt::join(known, ", "))
                      : fmt::format("did you mean \"{}\"?", near);
}

// Collects problems of one document.
class Reader {
 public:
  void problem(std::string path, int line, int column, std::string value, std::string message,
               std::string hint = "") {
    if (problems.size() >= kProblemsMax) return;
    problems.push_back({std::move(path), line, std::max(1, column), wire::shortened(value),
                        std::move(message), std::move(hint)});
  }

  void set(Observation& window, const Column& column, double number, const std::string& path,
           int line, int at) {
    const bool share = column.value == &Observation::kv_use;
    if (!std::isfinite(number) || number < 0 || (share && number > 1)) {
      problem(path, line, at, fmt::format("{}", number),
              share ? "must be a share between 0 and 1" : "must be a number, 0 or above");
    } else if (column.value != nullptr) {
      window.*column.value = number;
    }
  }

  void take(const Observation& window, const std::string& path, int line) {
    if (!(window.seconds > 0)) problem(path, line, 0, "", "seconds must be above 0");
    if (!windows.empty() && window.t_s < windows.back().t_s) {
      problem(path, line, 0, fmt::format("{}", window.t_s), "t_s must not fall from row to row");
    }
    windows.push_back(window);
    if (windows.size() == kWindowsMax + 1) {
      problem(path, line, 0, "", fmt::format("more than {} windows", kWindowsMax));
    }
  }
  bool full() const { return windows.size() > kWindowsMax || problems.size() >= kProblemsMax; }

  Observations windows;
  wire::Diagnostics problems;
};

std::vector<const Column*> read_header(const std::vector<std::string>& fields, Reader& reader) {
  std::vector<const Column*> out;
  for (const std::string& name : fields) {
    const Column* column = find_column(name);
    if (column == nullptr) reader.problem(name, 1, 0, name, "unknown column", near_name(name));
    if (column != nullptr && std::find(out.begin(), out.end(), column) != out.end()) {
      reader.problem(name, 1, 0, name, "this column is there twice");
    }
    out.push_back(column);
  }
  for (const Column& column : kColumns) {
    if (column.needed && std::find(out.begin(), out.end(), &column) == out.end()) {
      reader.problem(column.name, 1, 0, "", "this column is missing");
    }
  }
  return out;
}

void read_csv(std::string_view text, Reader& reader) {
  wire::CsvReader csv(text);
  std::vector<std::string> fields;
  std::vector<const Column*> header;
  if (csv.next(fields)) header = read_header(fields, reader);
  while (reader.problems.empty() && csv.next(fields)) {
    if (fields.size() != header.size()) {
      reader.problem("", csv.line(), 0, fmt::format("{} fields", fields.size()),
                     fmt::format("the header has {} columns", header.size()));
      return;
    }
    Observation window;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const std::string& field = fields[i];
      if (field.empty() || header[i] == nullptr) continue;
      double number = 0;
      const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
      if (error != std::errc{} || end != field.data() + field.size()) {
        reader.problem(header[i]->name, csv.line(), 0, field, "must be a number");
        continue;
      }
      reader.set(window, *header[i], number, header[i]->name, csv.line(), 0);
    }
    reader.take(window, "", csv.line());
    if (reader.full()) return;
  }
  if (csv.error()) reader.problems.push_back(*csv.error());
}

void read_window(const wire::Value& item, const std::string& path, Reader& reader) {
  if (item.as_object() == nullptr) {
    reader.problem(path, item.line, item.column, wire::write_json(item), "must be an object");
    return;
  }
  Observation window;
  for (const auto& [key, value] : *item.as_object()) {
    const Column* column = find_column(key);
    const std::string at = fmt::format("{}.{}", path, key);
    if (column == nullptr) {
      reader.problem(at, value.key_line, value.key_column, key, "unknown key", near_name(key));
    } else if (!value.is_number()) {
      reader.problem(at, value.line, value.column, wire::write_json(value), "must be a number");
    } else {
      reader.set(window, *column, value.number(), at, value.line, value.column);
    }
  }
  for (const Column& column : kColumns) {
    if (column.needed && item.find(column.name) == nullptr) {
      reader.problem(path, item.line, item.column, "", fmt::format("has no \"{}\"", column.name));
    }
  }
  reader.take(window, path, item.line);
}

void read_json(std::string_view text, Reader& reader) {
  const auto parsed = wire::parse_json(text, {.bytes_max = 64u << 20, .values_max = 1u << 21});
  if (!parsed) {
    reader.problems.push_back(parsed.error());
    return;
  }
  const wire::Value* schema = parsed->find("schema");
  if (schema == nullptr || schema->number() != 1) {
    reader.problem("schema", parsed->line, parsed->column, "", "must be 1");
  }
  const wire::Value* windows = parsed->find("windows");
  if (windows == nullptr || windows->as_array() == nullptr) {
    reader.problem("windows", parsed->line, parsed->column, "", "must be a list of windows");
    return;
  }
  std::size_t index = 0;
  for (const wire::Value& item : *windows->as_array()) {
    read_window(item, fmt::format("windows[{}]", index++), reader);
    if (reader.full()) return;
  }
}

}  // namespace

tl::expected<Observations, wire::Diagnostics> read_observations(std::string_view text) {
  Reader reader;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') {
    read_json(text, reader);
  } else {
    read_csv(text, reader);
  }
  if (reader.problems.empty() && reader.windows.empty()) {
    reader.problem("", 1, 0, "", "there is no window in it");
  }
  if (!reader.problems.empty()) return tl::unexpected(std::move(reader.problems));
  return std::move(reader.windows);
}

}  // namespace arqon::calibrate
