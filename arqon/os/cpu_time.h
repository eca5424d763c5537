// How much processor time the calling thread has used. POSIX.
#pragma once

#include "arqon/base/time.h"

namespace arqon::os {

Duration thread_cpu_time();

}  // namespace arqon::os
