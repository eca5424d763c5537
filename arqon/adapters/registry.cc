#include <algorithm>

#include "arqon/adapters/adapter.h"
#include "arqon/adapters/triton/triton.h"

namespace arqon::adapters {

const std::vector<Adapter>& registry() {
  static const std::vector<Adapter> adapters{
      {.name = "triton",
       .about = "Triton 2.51 and alike: batching by reloads under load, instances in place",
       .attach = triton::attach,
       .probe = triton::probe},
  };
  return adapters;
}

const Adapter* find(std::string_view name) {
  const std::vector<Adapter>& all = registry();
  const auto it = std::find_if(all.begin(), all.end(),
                               [&](const Adapter& adapter) { return adapter.name == name; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace arqon::adapters
