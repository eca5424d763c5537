// Whatever stands in front of several replicas, as far as a rolling change needs it: take one out,
// see that it is empty, put it back. HAProxy implements it (haproxy/).
#pragma once

#include <cstddef>

#include "arqon/base/result.h"

namespace arqon::adapters {

// Replicas are counted as in the engine's target, from 0. One thread; every call ends within its
// own deadline. Errors: kUnavailable when the router does not answer, kRefused when it says no.
class Router {
 public:
  virtual ~Router() = default;
  // Sends no new request there; open ones go on. Ok when it was drained already.
  virtual Status drain(std::size_t replica) = 0;
  // No request is open there, as the router counts them.
  virtual Result<bool> is_idle(std::size_t replica) = 0;
  // Sends requests there again, with the weight it had. Ok when it was not drained.
  virtual Status ready(std::size_t replica) = 0;
};

}  // namespace arqon::adapters
