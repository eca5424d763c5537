// Instant queries of a Prometheus server (HTTP API /api/v1/query).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "arqon/net/http.h"
#include "arqon/wire/json.h"
#include "arqon/wire/prometheus.h"

namespace arqon::adapters::generic {

// The samples of a vector or a scalar, all under `name`. kRefused for a query that the server does
// not understand, kUnavailable otherwise.
Result<std::vector<wire::Series>> query(net::Client& client, const std::string& prometheus,
                                        std::string_view promql, std::string_view name,
                                        Duration timeout);
Result<std::vector<wire::Series>> samples_of(const wire::Value& answer, std::string_view name);

}  // namespace arqon::adapters::generic
