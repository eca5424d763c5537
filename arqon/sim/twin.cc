#include "arqon/sim/twin.h"

#include <utility>

#include "arqon/sim/kernel.h"

namespace arqon::sim {

Twin::Twin(std::unique_ptr<Kernel> kernel) : kernel_(std::move(kernel)) {}
Twin::~Twin() = default;

Result<std::unique_ptr<Twin>> Twin::create(TwinOptions options) {
  Result<std::unique_ptr<Kernel>> kernel = Kernel::create(std::move(options));
  if (!kernel) return tl::unexpected<Error>(kernel.error());
  return std::unique_ptr<Twin>(new Twin(std::move(*kernel)));
}

const serving::Capabilities& Twin::capabilities() const { return kernel_->capabilities(); }
Result<Config> Twin::apply(const Config& setting, serving::Scope scope) {
  return kernel_->apply(setting, scope);
}
serving::Observation Twin::observe(serving::Scope scope) { return kernel_->observe(scope); }
serving::Health Twin::health() { return kernel_->health(); }

TimePoint Twin::now() const { return TimePoint(Duration(kernel_->now() / 1000)); }
void Twin::wait_until(TimePoint t) { kernel_->run_to(t.time_since_epoch().count() * 1000); }

void Twin::drain() { kernel_->drain(); }
Totals Twin::totals() const { return kernel_->totals(); }
const std::vector<RequestRow>& Twin::requests() const { return kernel_->requests(); }

}  // namespace arqon::sim
