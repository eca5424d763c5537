// What doctor shows of a HAProxy: every backend, its knobs, and what stands in the way.
#include <fmt/format.h>

#include "arqon/adapters/haproxy/engine.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::adapters::haproxy {
namespace {

struct Place {
  std::string socket, backend;
};

Place place_of(std::string_view url) {
  for (const std::string_view scheme : {"haproxy://", "unix://", "unix:"}) {
    if (url.starts_with(scheme)) {
      url.remove_prefix(scheme.size());
      break;
    }
  }
  const std::size_t mark = url.find('#');
  Place place{.socket = std::string(url.substr(0, mark)), .backend = {}};
  if (mark != std::string_view::npos) place.backend = url.substr(mark + 1);
  return place;
}

std::string split_of(const Backend& backend) {
  std::string text;
  for (const Server& server : backend.servers) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", server.name, server.weight);
  }
  return text;
}

KnobReport weights_of(const Backend& backend) {
  KnobReport report{.name = "router.router_weights",
                    .engine_name = "weight of " + backend.name,
                    .access = "live",
                    .value = split_of(backend),
                    .why = "set server BACKEND/SERVER weight, 0 to 256"};
  if (backend.servers.size() < 2) {
    report.access = "absent";
    report.why = "one server: there is nothing to share out";
  } else if (!takes_weights(backend.algorithm)) {
    report.access = "restart";
    report.why = fmt::format(
        "balance {} fixes weights at start; balance roundrobin makes them live", backend.algorithm);
  } else if (!shares_by_weight(backend.algorithm)) {
    report.why = fmt::format("balance {} only prefers by weight: shares will not follow exactly",
                             backend.algorithm);
  }
  return report;
}

KnobReport cap_of(const Backend& backend) {
  KnobReport report{.name = "POOL.batch_size",
                    .engine_name = "maxconn of " + backend.name,
                    .access = "absent",
                    .value = {},
                    .why = {}};
  if (backend.servers.size() != 1) {
    report.why = fmt::format("{} servers: a full one is skipped, so maxconn caps nothing; give "
                             "each server a backend of its own",
                             backend.servers.size());
  } else if (const auto cap = backend.servers[0].maxconn; !cap) {
    report.why = fmt::format("no limit: write \"maxconn N\" on the line of server {}",
                             backend.servers[0].name);
  } else {
    report.access = "live";
    report.value = std::to_string(*cap);
    report.why = "set maxconn server: HAProxy queues what is beyond it";
  }
  return report;
}

void say_what_next(const Place& place, const Backend& backend, Probe& probe) {
  probe.next.push_back(fmt::format(
      "put this into a scenario: \"target\": {{\"engine\": \"haproxy\", \"socket\": \"{}\", "
      "\"backend\": \"{}\", \"log\": {{\"udp\": 5140}}}}",
      place.socket, backend.name));
  probe.next.push_back(
      "let HAProxy log to that port with the format of docs/howto/haproxy.md, and reload it");
  probe.notes.push_back(
      "weights and maxconn set at run time are lost when HAProxy is reloaded; that is noticed, and "
      "the confirmed setting goes back");
  probe.notes.push_back(
      "\"option http-no-delay\" must be on for streamed answers: without it HAProxy 2.6 holds "
      "tokens back until the answer is complete");
}

}  // namespace

Result<Probe> probe(std::string_view url, Clock&) {
  const Place place = place_of(url);
  const Runtime runtime(place.socket);
  Probe out;
  const auto process = runtime.process();
  if (!process) {
    out.notes.push_back(process.error().message);
    out.next.push_back(fmt::format(
        "add \"stats socket unix@{} mode 600 level admin\" to HAProxy's global section, reload it, "
        "and run this as a user who may open that socket",
        wire::shortened(place.socket)));
    return out;
  }
  out.reachable = true;
  out.identity.engine = "haproxy " + process->version;
  const auto backends = runtime.backends();
  if (!backends) {
    out.notes.push_back(backends.error().message);
    return out;
  }
  bool found = false;
  for (const Backend& backend : *backends) {
    if (!place.backend.empty() && backend.name != place.backend) continue;
    if (backend.servers.empty()) continue;
    if (!found) say_what_next(place, backend, out);
    found = true;
    out.knobs.push_back(weights_of(backend));
    out.knobs.push_back(cap_of(backend));
    for (const Server& server : backend.servers) {
      if (server.up()) continue;
      out.notes.push_back(fmt::format("server {}/{} is {}", backend.name, server.name,
                                      wire::shortened(server.status)));
    }
    if (backend.servers[0].address.empty()) {
      out.notes.push_back("the socket hides addresses: its level should be admin, or nothing can "
                          "be written");
    }
  }
  if (!found) out.notes.push_back("no backend of that name with a server in it");
  return out;
}

}  // namespace arqon::adapters::haproxy
