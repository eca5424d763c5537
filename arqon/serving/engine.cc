#include "arqon/serving/engine.h"

namespace arqon::serving {

std::string_view to_string(Health health) {
  switch (health) {
    case Health::kOk: return "ok";
    case Health::kDegraded: return "degraded";
    case Health::kDown: return "down";
    case Health::kUnqualified: return "unqualified";
  }
  return "down";
}

}  // namespace arqon::serving
