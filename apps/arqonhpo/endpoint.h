// What an OpenAI-compatible server says of itself before load is sent to it.
#pragma once

#include <cstdint>
#include <string>

#include "arqon/base/result.h"

namespace arqon::app {

struct Served {
  std::string model;
  std::uint32_t context_max = 0;  // 0: the server does not say
  std::uint32_t vocabulary = 0;   // likewise
};

// What /v1/models says. A server without that page is as good as its user's `model` (empty = the
// first one that the server names). kUnavailable when nobody answers, kUsage when no model is
// named.
Result<Served> look_at(const std::string& url, const std::string& model, const std::string& key);

}  // namespace arqon::app
