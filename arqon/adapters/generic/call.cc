#include "arqon/adapters/generic/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "arqon/os/process.h"
#include "arqon/wire/diagnostic.h"
#include "arqon/wire/prometheus.h"

namespace arqon::adapters::generic {
namespace {

using wire::Value;

std::string trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  return std::string(text);
}

std::vector<std::pair<std::string, std::string>> read_pairs(TargetReader& reader,
                                                            std::string_view key) {
  std::vector<std::pair<std::string, std::string>> out;
  const Value* value = reader.find(key);
  const wire::Object* object = value == nullptr ? nullptr : value->as_object();
  if (value != nullptr && object == nullptr) reader.complain(*value, key, "must be an object");
  for (const auto& [name, text] : object == nullptr ? wire::Object{} : *object) {
    if (text.as_string() == nullptr) {
      reader.complain(text, fmt::format("{}.{}", key, name), "must be a text");
    } else {
      out.emplace_back(name, *text.as_string());
    }
  }
  return out;
}

void read_source(TargetReader& reader, Call& out) {
  out.has_pointer = reader.find("pointer") != nullptr;
  if (out.has_pointer) {
    const std::string* pointer = reader.find("pointer")->as_string();
    out.pointer = pointer == nullptr ? "?" : *pointer;
    if (!out.pointer.empty() && out.pointer.front() != '/') {
      reader.complain(*reader.find("pointer"), "pointer", "a JSON pointer like \"/limits/batch\"");
    }
  }
  out.series = reader.text("series", "");
  out.labels = read_pairs(reader, "labels");
  if (out.has_pointer && !out.series.empty()) {
    reader.complain(*reader.find("series"), "series", "give either pointer or series");
  }
}

}  // namespace

bool Call::has_place_for(std::string_view name) const {
  return has_place(url, name) || has_place(body, name) ||
         std::any_of(command.begin(), command.end(),
                     [&](const std::string& word) { return has_place(word, name); });
}

Call read_call(const Value& value, const std::string& path, bool for_reading,
               std::vector<std::string>& errors) {
  std::vector<std::string> keys = {"command", "method", "url", "headers", "body"};
  if (for_reading) keys.insert(keys.end(), {"pointer", "series", "labels"});
  TargetReader reader(value, std::move(keys), path);
  Call out;
  out.command = reader.command("command");
  out.url = reader.url("url", "");
  out.body = reader.text("body", "");
  out.method = reader.text("method", for_reading && out.body.empty() ? "GET" : "POST");
  out.headers = read_pairs(reader, "headers");
  if (for_reading) read_source(reader, out);
  if ((reader.find("command") == nullptr) == (reader.find("url") == nullptr)) {
    reader.complain(value, "", "needs either \"command\" or \"url\"");
  }
  if (const Status status = reader.status(); !status) errors.push_back(status.error().message);
  return out;
}

Result<std::string> make_call(net::Client& client, const Call& call, const CallValues& values,
                              Duration deadline) {
  if (!call.command.empty()) {
    const auto ran =
        os::run(filled(call.command, {{"value", values.value}, {"former", values.former}}),
                {.timeout = deadline});
    if (!ran) return tl::unexpected<Error>(ran.error());
    if (ran->exit_code == 0) return ran->out;
    return fail(ErrorCode::kRefused,
                fmt::format("\"{}\" ended with {}: {}", call.command[0], ran->exit_code,
                            wire::shortened(ran->err.empty() ? ran->out : ran->err)));
  }
  const std::string url = filled(call.url, {{"value", percent_encoded(values.value)},
                                            {"former", percent_encoded(values.former)}});
  const std::string body = filled(
      call.body, {{"value", json_inside(values.value)}, {"former", json_inside(values.former)}});
  net::Request request{.method = call.method,
                       .url = url,
                       .headers = call.headers,
                       .body = body,
                       .timeout = deadline};
  const auto answer = client.send(request);
  if (!answer) return tl::unexpected<Error>(answer.error());
  if (answer->status >= 200 && answer->status < 300) return answer->body;
  const bool refused = answer->status >= 400 && answer->status < 500;
  return fail(refused ? ErrorCode::kRefused : ErrorCode::kUnavailable,
              fmt::format("{} {}: HTTP status {}: {}", call.method, url, answer->status,
                          wire::shortened(answer->body)));
}

Result<std::string> value_in(const Call& call, const std::string& answer) {
  if (call.has_pointer) {
    const auto document = wire::parse_json(answer);
    if (!document) {
      return fail(ErrorCode::kUnavailable, wire::to_string(document.error(), call.url));
    }
    const Value* value = at_pointer(*document, call.pointer);
    if (value != nullptr && value->as_string() != nullptr) return *value->as_string();
    if (value != nullptr && value->is_number()) return number_text(value->number());
    if (value != nullptr && value->as_bool() != nullptr) return *value->as_bool() ? "1" : "0";
    return fail(ErrorCode::kUnavailable,
                fmt::format("no value at \"{}\" in the answer", call.pointer));
  }
  if (!call.series.empty()) {
    const auto scraped = wire::parse_prometheus(answer);
    if (!scraped) {
      return fail(ErrorCode::kUnavailable, wire::to_string(scraped.error(), call.url));
    }
    if (!scraped->has(call.series)) {
      return fail(ErrorCode::kUnavailable, fmt::format("no series {} in the answer", call.series));
    }
    return number_text(scraped->sum(call.series, call.labels));
  }
  return trimmed(answer);
}

const Value* at_pointer(const Value& document, std::string_view pointer) {
  const Value* at = &document;
  while (at != nullptr && !pointer.empty()) {
    if (pointer.front() != '/') return nullptr;
    pointer.remove_prefix(1);
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    std::string token;
    for (std::size_t i = 0; i < end; ++i) {
      const bool escape = pointer[i] == '~' && i + 1 < end;
      token += escape ? (pointer[++i] == '1' ? '/' : '~') : pointer[i];
    }
    pointer.remove_prefix(end);
    if (const wire::Array* list = at->as_array()) {
      std::size_t index = list->size();
      const auto [rest, error] = std::from_chars(token.data(), token.data() + token.size(), index);
      const bool good = error == std::errc() && rest == token.data() + token.size();
      at = good && index < list->size() ? &(*list)[index] : nullptr;
    } else {
      at = at->find(token);
    }
  }
  return at;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace arqon::adapters::generic
