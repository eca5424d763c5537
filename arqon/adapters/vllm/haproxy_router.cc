#include "arqon/adapters/vllm/haproxy_router.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "arqon/adapters/haproxy/front.h"
#include "arqon/adapters/target_reader.h"

namespace arqon::adapters::vllm {
namespace {

class BehindHaproxy final : public Router {
 public:
  BehindHaproxy(haproxy::Front front, std::vector<std::size_t> places)
      : front_(std::move(front)), places_(std::move(places)) {}
  Status drain(std::size_t replica) override { return front_.drain(places_.at(replica)); }
  Result<bool> is_idle(std::size_t replica) override { return front_.is_idle(places_.at(replica)); }
  Status ready(std::size_t replica) override { return front_.ready(places_.at(replica)); }

 private:
  haproxy::Front front_;
  std::vector<std::size_t> places_;  // of each replica among the backend's servers
};

Result<std::vector<std::size_t>> places_of(const wire::Value* servers, const haproxy::Front& front,
                                           std::size_t replicas) {
  const wire::Array* names = servers == nullptr ? nullptr : servers->as_array();
  if (names == nullptr || names->size() != replicas) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("target.router.servers: the {} names of the replicas' servers in the "
                            "backend, in the order of the replicas",
                            replicas));
  }
  std::vector<std::size_t> out;
  for (const wire::Value& name : *names) {
    const auto place = front.place_of(name.as_string() == nullptr ? "" : *name.as_string());
    if (!place) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("target.router.servers (line {}): the backend has no such server",
                              name.line));
    }
    out.push_back(*place);
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Router>> open_haproxy_router(const wire::Value& options,
                                                    std::size_t replicas) {
  std::vector<std::string> keys = haproxy::option_keys();
  keys.emplace_back("servers");
  TargetReader in(options, keys);
  haproxy::Options read = haproxy::read_options(in);
  const wire::Value* servers = in.find("servers");
  if (auto status = in.status(); !status) {
    return tl::unexpected(status.error().with_context("target.router"));
  }
  auto front = haproxy::Front::open(std::move(read), {serving::Slo{.name = "all"}});
  if (!front) return tl::unexpected(front.error().with_context("target.router"));
  auto places = places_of(servers, *front, replicas);
  if (!places) return tl::unexpected(places.error());
  return std::make_unique<BehindHaproxy>(std::move(*front), std::move(*places));
}

}  // namespace arqon::adapters::vllm
