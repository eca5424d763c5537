// What the registry calls, and the real world behind it.
#include <memory>
#include <utility>

#include "arqon/adapters/vllm/engine.h"
#include "arqon/adapters/vllm/haproxy_router.h"
#include "arqon/adapters/vllm/vllm.h"
#include "arqon/net/http.h"
#include "arqon/os/process.h"

namespace arqon::adapters::vllm {

World real_world() {
  World world;
  // Shared because std::function copies; one thread uses it.
  auto client = std::make_shared<net::Client>();
  world.http = [client](const net::Request& request) { return client->send(request); };
  world.run = [](const std::vector<std::string>& argv, const os::RunOptions& options) {
    return os::run(argv, options);
  };
  return world;
}

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request) {
  World world = real_world();
  if (const wire::Value* options = request.target.find("router")) {
    const wire::Value* list = request.target.find("replicas");
    const wire::Array* replicas = list == nullptr ? nullptr : list->as_array();
    auto router = open_haproxy_router(*options, replicas == nullptr ? 1 : replicas->size());
    if (!router) return tl::unexpected(router.error());
    world.router = std::move(*router);
  }
  auto engine = VllmEngine::attach(request, std::move(world));
  if (!engine) return tl::unexpected(engine.error());
  return std::unique_ptr<serving::Engine>(std::move(*engine));
}

}  // namespace arqon::adapters::vllm
