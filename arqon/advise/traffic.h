// A history's traffic as requests for the twin: rates window by window, lengths by their histogram.
#pragma once

#include <cstdint>

#include "arqon/calibrate/history.h"
#include "arqon/workload/request.h"

namespace arqon::advise {

// Traffic of windows that tell mean lengths only; the spread of lengths is then assumed.
calibrate::Traffic traffic_of_windows(const calibrate::Observations& windows);

// `seconds` of requests of one engine, class 0: memoryless within each window, the windows of a
// stretch of the history that `seed` chooses, around its end when it is shorter. Lengths are drawn
// within the buckets and scaled to the mean that the counters tell; a request holds at most
// `tokens_max` tokens (0 = no limit). Empty when nothing arrived.
workload::Trace draw_traffic(const calibrate::Traffic& traffic, double seconds, double tokens_max,
                             std::uint64_t seed);

}  // namespace arqon::advise
