#include <algorithm>

#include "arqon/adapters/adapter.h"
#include "arqon/adapters/generic/generic.h"
#include "arqon/adapters/haproxy/engine.h"
#include "arqon/adapters/llamacpp/engine.h"
#include "arqon/adapters/sglang/sglang.h"
#include "arqon/adapters/tensorrt_llm/tensorrt_llm.h"
#include "arqon/adapters/triton/triton.h"
#include "arqon/adapters/vllm/vllm.h"

namespace arqon::adapters {

const std::vector<Adapter>& registry() {
  static const std::vector<Adapter> adapters{
      {"vllm", "vLLM 0.31 to 0.33, live by its plugin: batch, token budget, speculation",
       vllm::attach, vllm::probe},
      {"triton", "Triton 2.51: batching by reloads that lose no request, instances in place",
       triton::attach, triton::probe},
      {"haproxy", "HAProxy 2.4 to 3.x: shares of servers and a cap in front of one, both live",
       haproxy::attach, haproxy::probe},
      {"llamacpp", "llama.cpp behind HAProxy: a live cap; slots, context, draft length by restart",
       llamacpp::attach, llamacpp::probe},
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
