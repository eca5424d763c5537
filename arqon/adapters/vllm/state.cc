#include "arqon/adapters/vllm/state.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>

#include "arqon/adapters/vllm/knobs.h"
#include "arqon/os/file.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::vllm {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 16;
constexpr std::size_t kEnvironmentBytesMax = 1u << 20;
constexpr std::int64_t kSchema = 1;

// The value of NAME in "A=1\0NAME=2\0"; empty when it is not there.
std::string_view variable(std::string_view environment, std::string_view name) {
  std::size_t at = 0;
  while (at < environment.size()) {
    const std::size_t end = std::min(environment.find('\0', at), environment.size());
    const std::string_view entry = environment.substr(at, end - at);
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
    at = end + 1;
  }
  return {};
}

Result<wire::Value> read_document(const std::filesystem::path& path) {
  auto text = os::read_file(path, kFileBytesMax);
  if (!text) return tl::unexpected(text.error());
  auto value = wire::parse_json(*text);
  if (!value) {
    return fail(ErrorCode::kUnavailable, wire::to_string(value.error(), path.string()));
  }
  const wire::Value* schema = value->find("schema");
  if (schema == nullptr || schema->as_int() == nullptr || *schema->as_int() != kSchema) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: not schema {}", path.string(), kSchema));
  }
  return std::move(*value);
}

std::string text_of(const wire::Value& object, std::string_view key) {
  const wire::Value* value = object.find(key);
  const std::string* text = value == nullptr ? nullptr : value->as_string();
  return text == nullptr ? "" : *text;
}

}  // namespace

Result<std::filesystem::path> state_root_of_process(std::int64_t pid) {
  const auto environment =
      os::read_file(fmt::format("/proc/{}/environ", pid), kEnvironmentBytesMax);
  if (!environment) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("the environment of the engine (process {}) cannot be read, so where "
                            "it keeps its state is unknown: give the folder as \"state\", or run "
                            "as the engine's user",
                            pid));
  }
  if (const auto own = variable(*environment, "ARQONHPO_VLLM_STATE"); !own.empty()) {
    return std::filesystem::path(own);
  }
  if (const auto xdg = variable(*environment, "XDG_STATE_HOME"); !xdg.empty()) {
    return std::filesystem::path(xdg) / "arqonhpo" / "vllm";
  }
  const std::string_view home = variable(*environment, "HOME");
  if (home.empty()) {
    return fail(ErrorCode::kUnavailable,
                "the engine has no HOME: give its state folder as "
                "\"state\"");
  }
  return std::filesystem::path(home) / ".local" / "state" / "arqonhpo" / "vllm";
}

std::int64_t parent_of(std::int64_t pid) {
  const auto status = os::read_file(fmt::format("/proc/{}/status", pid), kEnvironmentBytesMax);
  const std::string_view key = "\nPPid:\t";
  const std::size_t at = status ? status->find(key) : std::string::npos;
  std::int64_t parent = 0;
  if (at != std::string::npos) {
    const char* begin = status->data() + at + key.size();
    std::from_chars(begin, status->data() + status->size(), parent);
  }
  return parent;
}

Result<EngineIdentity> read_identity(const std::filesystem::path& folder) {
  const auto document = read_document(folder / "identity.json");
  if (!document) return tl::unexpected(document.error().with_context("what the engine is"));
  EngineIdentity out;
  out.vllm = text_of(*document, "vllm");
  out.identity = {"vllm " + out.vllm, text_of(*document, "model"), text_of(*document, "hardware")};
  out.why = text_of(*document, "why");
  const wire::Value* supported = document->find("supported");
  out.supported = supported != nullptr && supported->as_bool() != nullptr && *supported->as_bool();
  return out;
}

std::int64_t identity_hash(const EngineIdentity& identity) {
  std::string bytes = identity.vllm;
  bytes.push_back('\0');
  bytes += identity.identity.model;
  bytes.push_back('\0');
  bytes += identity.identity.hardware;
  return fnv1a(bytes);
}

Status write_confirmed(const std::filesystem::path& folder, const EngineIdentity& identity,
                       const Block& block) {
  wire::Object values;
  for (const KnobKind& kind : knob_kinds()) {
    if (kind.slot && block.has(*kind.slot)) {
      values.emplace_back(kind.name, block.values[*kind.slot]);
    }
  }
  const wire::Object who = {{"vllm", identity.vllm},
                            {"model", identity.identity.model},
                            {"hardware", identity.identity.hardware}};
  const wire::Value document = wire::Object{
      {"schema", kSchema}, {"identity", who}, {"epoch", block.epoch}, {"values", values}};
  return os::write_file(folder / "confirmed.json", wire::write_json(document, 2) + "\n");
}

std::optional<Block> read_confirmed(const std::filesystem::path& folder,
                                    const EngineIdentity& identity) {
  const auto document = read_document(folder / "confirmed.json");
  if (!document) return std::nullopt;
  const wire::Value* who = document->find("identity");
  const wire::Value* epoch = document->find("epoch");
  const wire::Value* values = document->find("values");
  if (who == nullptr || epoch == nullptr || epoch->as_int() == nullptr || values == nullptr ||
      values->as_object() == nullptr || text_of(*who, "vllm") != identity.vllm ||
      text_of(*who, "model") != identity.identity.model ||
      text_of(*who, "hardware") != identity.identity.hardware) {
    return std::nullopt;
  }
  Block block{.epoch = *epoch->as_int()};
  for (const auto& [name, value] : *values->as_object()) {
    const KnobKind* kind = find_kind(name);
    if (kind != nullptr && kind->slot && value.as_int() != nullptr) {
      block.set(*kind->slot, *value.as_int());
    }
  }
  return block;
}

}  // namespace arqon::adapters::vllm
