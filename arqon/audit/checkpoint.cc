#include "arqon/audit/checkpoint.h"

#include <fmt/format.h>

#include "arqon/wire/json.h"

namespace arqon::audit {
namespace {

constexpr wire::JsonLimits kLimits{.bytes_max = 4096, .depth_max = 2, .values_max = 16};

std::string message(const Checkpoint& c) {
  return fmt::format("arqonhpo audit checkpoint\n{}\n{}\n{}\n{}\n", view(c.chain), c.records,
                     view(c.head), c.wall_ns);
}

std::string text_of(const wire::Value& object, std::string_view key) {
  const wire::Value* value = object.find(key);
  const std::string* text = value == nullptr ? nullptr : value->as_string();
  return text == nullptr ? std::string() : *text;
}

}  // namespace

Result<Checkpoint> sign(const SigningKey& key, const Hash& chain, std::uint64_t records,
                        const Hash& head, std::int64_t wall_ns) {
  Checkpoint c{chain, records, head, wall_ns, key.public_hex(), ""};
  auto signature = key.sign(message(c));
  if (!signature) return tl::unexpected(signature.error());
  c.signature = std::move(*signature);
  return c;
}

bool valid(const Checkpoint& c) { return signed_by(c.key, message(c), c.signature); }

std::string to_line(const Checkpoint& c) {
  return fmt::format(
      "{{\"chain\":\"{}\",\"records\":{},\"head\":\"{}\",\"wall_ns\":{},\"key\":\"{}\",\"sig\":"
      "\"{}\"}}",
      view(c.chain), c.records, view(c.head), c.wall_ns, c.key, c.signature);
}

Result<Checkpoint> read_checkpoint(std::string_view line) {
  const auto value = wire::parse_json(line, kLimits);
  const auto broken = [] {
    return fail(ErrorCode::kInvalidConfig, "not a checkpoint of an audit chain");
  };
  if (!value || value->as_object() == nullptr) return broken();
  const wire::Value* records = value->find("records");
  const wire::Value* wall = value->find("wall_ns");
  const auto chain = read_hash(text_of(*value, "chain"));
  const auto head = read_hash(text_of(*value, "head"));
  if (records == nullptr || records->as_int() == nullptr || *records->as_int() < 0 ||
      wall == nullptr || wall->as_int() == nullptr || !chain || !head) {
    return broken();
  }
  Checkpoint c{*chain, static_cast<std::uint64_t>(*records->as_int()), *head, *wall->as_int(),
               text_of(*value, "key"), text_of(*value, "sig")};
  // One encoding: what was signed is what stands there, to the byte.
  if (to_line(c) != line) return broken();
  if (!valid(c)) {
    return fail(ErrorCode::kInvalidConfig, "the checkpoint's signature is not that of its key");
  }
  return c;
}

Result<std::vector<Checkpoint>> read_checkpoints(std::string_view text) {
  std::vector<Checkpoint> out;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.empty()) continue;
    auto checkpoint = read_checkpoint(line);
    // A torn line, perhaps with a hole where a sector never came, was given an end when the next
    // run came: it is as good as not there.
    const bool torn =
        !checkpoint && (line.back() != '}' || line.find('\0') != std::string_view::npos);
    if (torn) continue;
    if (!checkpoint) {
      return tl::unexpected(checkpoint.error().with_context(fmt::format("line {}", number)));
    }
    out.push_back(std::move(*checkpoint));
  }
  return out;
}

}  // namespace arqon::audit
