#include "arqon/audit/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace arqon::audit {
namespace {

constexpr wire::JsonLimits kLimits{
    .bytes_max = kLineBytesMax, .depth_max = 8, .values_max = 8192};
constexpr std::string_view kSeqKey = "{\"seq\":", kGroupKey = ",\"group\":";

// Most text is plain; what is not takes the long way.
void put_text(std::string& out, std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c != '"' && c != '\\' && c != '\x7f';
  });
  if (!plain) {
    out += wire::write_json(wire::Value(text));
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

void put_setting(std::string& out, const Config& setting) {
  out += '[';
  for (std::size_t i = 0; i < setting.size(); ++i) {
    if (i > 0) out += ',';
    out += wire::shortest(setting[i]);
  }
  out += ']';
}

tl::unexpected<Error> foreign(std::string_view key) {
  return fail(ErrorCode::kInvalidConfig, fmt::format("not an audit record: \"{}\"", key));
}

// Reads the members one after the other: order is part of the encoding.
class Members {
 public:
  explicit Members(const wire::Object& object) : object_(object) {}

  const wire::Value* next(std::string_view key) {
    if (at_ >= object_.size() || object_[at_].first != key) return broken(key);
    return &object_[at_++].second;
  }
  template <typename Integer>
  void whole(std::string_view key, Integer& out) {
    const wire::Value* value = next(key);
    const std::int64_t* number = value == nullptr ? nullptr : value->as_int();
    if (number == nullptr || (std::is_unsigned_v<Integer> && *number < 0)) {
      (void)broken(key);
      return;
    }
    out = static_cast<Integer>(*number);
  }
  void text(std::string_view key, std::string& out) {
    const wire::Value* value = next(key);
    const std::string* found = value == nullptr ? nullptr : value->as_string();
    if (found == nullptr) {
      (void)broken(key);
      return;
    }
    out = *found;
  }
  void setting(std::string_view key, Config& out) {
    const wire::Value* value = next(key);
    const wire::Array* array = value == nullptr ? nullptr : value->as_array();
    if (array == nullptr) {
      (void)broken(key);
      return;
    }
    for (const wire::Value& v : *array) {
      if (!v.is_number()) (void)broken(key);
      out.push_back(v.number());
    }
  }
  std::string_view trouble() const {
    return trouble_.empty() && at_ < object_.size() ? object_[at_].first : trouble_;
  }
  const wire::Value* broken(std::string_view key) {
    if (trouble_.empty()) trouble_ = key;
    return nullptr;
  }

 private:
  const wire::Object& object_;
  std::size_t at_ = 0;
  std::string_view trouble_;
};

bool number_after(std::string_view text, std::string_view key, std::size_t& at,
                  std::uint64_t& out) {
  if (text.substr(at, key.size()) != key) return false;
  at += key.size();
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), out);
  if (error != std::errc() || end == text.data() + at) return false;
  at = static_cast<std::size_t>(end - text.data());
  return true;
}

}  // namespace

std::string encode(const Record& r, const Stamp& s) {
  std::string out;
  out.reserve(512 + r.reason.size());
  fmt::format_to(std::back_inserter(out),
                 "{{\"seq\":{},\"group\":{},\"epoch\":{},\"generation\":{},\"mono_ns\":{},"
                 "\"wall_ns\":{},\"actor\":",
                 s.seq, s.group, r.epoch, r.generation, r.mono_ns, r.wall_ns);
  put_text(out, r.actor);
  out += ",\"action\":";
  put_text(out, r.action);
  fmt::format_to(std::back_inserter(out),
                 ",\"replica\":{},\"inputs\":\"{}\",\"tape\":{},\"before\":", r.replica,
                 view(s.inputs), s.tape);
  put_setting(out, r.before);
  out += ",\"after\":";
  put_setting(out, r.after);
  out += ",\"reason\":";
  put_text(out, r.reason);
  out += ",\"note\":";
  out += r.note.is_null() ? "null" : wire::write_json(r.note);
  out += '}';
  return out;
}

Result<Decoded> decode(std::string_view json) {
  const auto value = wire::parse_json(json, kLimits);
  if (!value || value->as_object() == nullptr) {
    return fail(ErrorCode::kInvalidConfig, "not an audit record: no JSON object");
  }
  Decoded out;
  Members m(*value->as_object());
  m.whole("seq", out.stamp.seq);
  m.whole("group", out.stamp.group);
  m.whole("epoch", out.record.epoch);
  m.whole("generation", out.record.generation);
  m.whole("mono_ns", out.record.mono_ns);
  m.whole("wall_ns", out.record.wall_ns);
  m.text("actor", out.record.actor);
  m.text("action", out.record.action);
  m.whole("replica", out.record.replica);
  std::string inputs;
  m.text("inputs", inputs);
  m.whole("tape", out.stamp.tape);
  m.setting("before", out.record.before);
  m.setting("after", out.record.after);
  m.text("reason", out.record.reason);
  const wire::Value* note = m.next("note");
  if (!m.trouble().empty()) return foreign(m.trouble());
  if (!note->is_null() && note->as_object() == nullptr) return foreign("note");
  out.record.note = *note;
  const auto hash = read_hash(inputs);
  if (!hash) return foreign("inputs");
  out.stamp.inputs = *hash;
  return out;
}

bool read_place(std::string_view json, Place& place) {
  std::size_t at = 0;
  return number_after(json, kSeqKey, at, place.seq) &&
         number_after(json, kGroupKey, at, place.group);
}

}  // namespace arqon::audit
