// For engines whose adapter remembers something of its own writes.
#pragma once

#include "arqon/serving/engine.h"

namespace arqon::serving {

// An Engine may be this too. Same thread rule.
class SecondHand {
 public:
  virtual ~SecondHand() = default;
  // Another process of ours (an agent) has applied this, or may have: what the adapter remembers of
  // its own writes - a restart that is no stranger's, a value nobody can read - it remembers now.
  virtual void written_for_us(const Config& setting, Scope scope) = 0;
};

}  // namespace arqon::serving
