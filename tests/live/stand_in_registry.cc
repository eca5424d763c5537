// The table of engines of arqonhpo_stand_in: the stand-in engine alone.
#include <algorithm>

#include "arqon/adapters/adapter.h"
#include "arqon/testing/stand_in_engine.h"

namespace arqon::adapters {
namespace {

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request) {
  const wire::Value* socket = request.target.find("socket");
  if (socket == nullptr || socket->as_string() == nullptr) {
    return fail(ErrorCode::kInvalidConfig, "target.socket: is missing");
  }
  return testing::StandInEngine::attach(*socket->as_string(), request.knobs, request.classes,
                                        request.clock);
}

Result<Probe> probe(std::string_view, Clock&) { return Probe{}; }

}  // namespace

const std::vector<Adapter>& registry() {
  static const std::vector<Adapter> adapters{
      {"stand_in", "an engine for tests, behind a unix socket", attach, probe}};
  return adapters;
}

const Adapter* find(std::string_view name) {
  return name == "stand_in" ? &registry().front() : nullptr;
}

}  // namespace arqon::adapters
