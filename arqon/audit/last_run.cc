#include "arqon/audit/last_run.h"

#include "arqon/audit/verify.h"

namespace arqon::audit {
namespace {

void follow(const Decoded& line, LastRun& run) {
  const std::string& action = line.record.action;
  if (action == "begin") {
    ++run.runs;
    run.begin = line.stamp.seq;
    run.ended = false;
  }
  if (action == "end") run.ended = true;
  if (action == "confirm") run.confirmed = line;
  if (action == "intent") run.open_intents.push_back(line);
  if (action != "outcome") return;
  const wire::Value* of = line.record.note.find("of");
  const std::int64_t* seq = of == nullptr ? nullptr : of->as_int();
  if (seq == nullptr) return;
  std::erase_if(run.open_intents, [&](const Decoded& intent) {
    return intent.stamp.seq == static_cast<std::uint64_t>(*seq);
  });
}

}  // namespace

Result<LastRun> last_run(os::Disk& disk, const std::filesystem::path& folder) {
  LastRun run;
  if (segments_of(disk, folder).empty()) return run;
  VerifyOptions options;
  options.tapes = false;
  options.on_line = [&](std::uint64_t, std::string_view json, std::string_view) {
    if (const auto line = decode(json)) follow(*line, run);
  };
  const auto verified = verify(disk, folder, options);
  if (!verified) return tl::unexpected(verified.error());
  if (verified->finding && !verified->torn) {
    return fail(ErrorCode::kConflict, to_text(*verified->finding));
  }
  return run;
}

}  // namespace arqon::audit
