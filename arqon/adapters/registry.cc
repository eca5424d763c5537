#include <algorithm>

#include "arqon/adapters/adapter.h"
#include "arqon/adapters/haproxy/engine.h"
#include "arqon/adapters/llamacpp/engine.h"

namespace arqon::adapters {

const std::vector<Adapter>& registry() {
  static const std::vector<Adapter> adapters{
      {"haproxy", "HAProxy 2.4 to 3.x: shares of servers and a cap in front of one, both live",
       haproxy::attach, haproxy::probe},
      {"llamacpp", "llama.cpp behind HAProxy: a live cap; slots, context and draft length by restart",
       llamacpp::attach, llamacpp::probe},
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
