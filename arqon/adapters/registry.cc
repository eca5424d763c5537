#include <algorithm>

#include "arqon/adapters/adapter.h"
#include "arqon/adapters/generic/generic.h"
#include "arqon/adapters/sglang/sglang.h"
#include "arqon/adapters/tensorrt_llm/tensorrt_llm.h"

namespace arqon::adapters {

const std::vector<Adapter>& registry() {
  static const std::vector<Adapter> adapters{
      {"sglang", "SGLang 0.5: what /set_internal_state accepts (not run, only replayed)",
       sglang::attach, sglang::probe},
      {"tensorrt_llm", "trtllm-serve 1.x: knobs by your restart command (not run, only replayed)",
       tensorrt_llm::attach, tensorrt_llm::probe},
      {"generic", "anything with metrics: knobs are commands or HTTP calls that you name",
       generic::attach, generic::probe},
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
