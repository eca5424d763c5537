#include "apps/arqonhpo/audit_prove.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "arqon/audit/checkpoint.h"
#include "arqon/audit/record.h"
#include "arqon/audit/verify.h"
#include "arqon/os/disk.h"
#include "arqon/wire/json.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kProofBytesMax = 16u << 20;
constexpr wire::JsonLimits kLimits{.bytes_max = kProofBytesMax};

// The first checkpoint that covers the record.
Result<audit::Checkpoint> checkpoint_for(os::Disk& disk, const fs::path& folder,
                                         std::uint64_t record) {
  const auto text = disk.read(folder / "checkpoints", kProofBytesMax);
  auto all = text ? audit::read_checkpoints(*text) : tl::unexpected(text.error());
  if (!all) return tl::unexpected(all.error());
  std::erase_if(*all, [&](const audit::Checkpoint& c) { return c.records < record; });
  const auto found = std::min_element(
      all->begin(), all->end(), [](const auto& a, const auto& b) { return a.records < b.records; });
  if (found == all->end()) {
    return fail(ErrorCode::kInconclusive,
                fmt::format("no checkpoint stands behind record {} yet", record));
  }
  return *found;
}

const std::string* text_of(const wire::Value& object, std::string_view key) {
  const wire::Value* value = object.find(key);
  return value == nullptr ? nullptr : value->as_string();
}

// The hash that the lines lead to, from the one before them.
Result<audit::Hash> walk(const audit::Hash& before, const wire::Array& lines) {
  audit::Sha256 sha;
  audit::Hash head = before;
  for (const wire::Value& line : lines) {
    if (line.as_string() == nullptr) return fail(ErrorCode::kInvalidConfig, "not a proof: lines");
    sha.update(audit::view(head));
    sha.update("\n");
    sha.update(*line.as_string());
    sha.update("\t");
    head = sha.finish();
  }
  return head;
}

}  // namespace

Result<int> prove(const fs::path& folder, std::uint64_t record, Console& console) {
  os::SystemDisk disk;
  const auto checkpoint = checkpoint_for(disk, folder, record);
  if (!checkpoint) return tl::unexpected(checkpoint.error());
  audit::VerifyOptions options;
  options.tapes = false;
  std::string before, previous;
  wire::Array lines;
  options.on_line = [&](std::uint64_t seq, std::string_view json, std::string_view hash) {
    if (seq == record) before = previous;
    if (seq >= record && seq <= checkpoint->records) lines.emplace_back(json);
    previous = hash;
  };
  const auto verified = audit::verify(disk, folder, options);
  if (!verified) return tl::unexpected(verified.error());
  if (verified->finding && !verified->torn) {
    return fail(ErrorCode::kConflict, to_text(*verified->finding));
  }
  if (lines.empty()) {
    return fail(ErrorCode::kUsage, fmt::format("there is no record {}", record));
  }
  if (before.empty()) before = audit::view(verified->chain);
  const wire::Value proof = wire::Object{{"schema", 1},
                                         {"record", record},
                                         {"before", before},
                                         {"lines", std::move(lines)},
                                         {"checkpoint", audit::to_line(*checkpoint)}};
  if (Status written = console.data(wire::write_json(proof, 1) + "\n"); !written) {
    return tl::unexpected(written.error());
  }
  return 0;
}

Result<int> check_proof(const fs::path& file, Console& console) {
  os::SystemDisk disk;
  const auto text = disk.read(file, kProofBytesMax);
  if (!text) return tl::unexpected(text.error());
  const auto proof = wire::parse_json(*text, kLimits);
  if (!proof) {
    return fail(ErrorCode::kInvalidConfig, wire::to_string(proof.error(), file.string()));
  }
  const std::string* before = text_of(*proof, "before");
  const std::string* line = text_of(*proof, "checkpoint");
  const wire::Value* lines = proof->find("lines");
  if (before == nullptr || line == nullptr || lines == nullptr || lines->as_array() == nullptr ||
      lines->as_array()->empty()) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{}: not a proof; `arqonhpo audit prove` makes one", file.string()));
  }
  const auto checkpoint = audit::read_checkpoint(*line);
  if (!checkpoint) return tl::unexpected(checkpoint.error().with_context(file.string()));
  const auto start = audit::read_hash(*before);
  const auto head = start ? walk(*start, *lines->as_array()) : start;
  if (!head) return tl::unexpected(head.error());
  const std::string* first = lines->as_array()->front().as_string();
  const auto record = audit::decode(*first);
  const std::uint64_t last = record ? record->stamp.seq + lines->as_array()->size() - 1 : 0;
  if (!record || *head != checkpoint->head || last != checkpoint->records) {
    return fail(ErrorCode::kConflict,
                fmt::format("{}: the record does not lead to what was signed", file.string()));
  }
  const std::string out = fmt::format(
      "proven: record {} of chain {} is what was written, as signed by {}\n{}\n",
      record->stamp.seq, audit::view(checkpoint->chain).substr(0, 16), checkpoint->key, *first);
  if (Status written = console.data(out); !written) return tl::unexpected(written.error());
  return 0;
}

}  // namespace arqon::app
