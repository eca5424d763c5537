#include "arqon/serving/outcome.h"

namespace arqon::serving {

std::string_view to_string(Limit limit) {
  switch (limit) {
    case Limit::kNone: return "none";
    case Limit::kTtft: return "ttft";
    case Limit::kTpot: return "tpot";
    case Limit::kGap: return "gap";
    case Limit::kE2e: return "e2e";
    case Limit::kCap: return "cap";
    case Limit::kRejected: return "rejected";
    case Limit::kQuality: return "quality";
  }
  return "none";
}

double Ledger::attainment() const {
  return arrived == 0 ? 1.0 : static_cast<double>(good) / static_cast<double>(arrived);
}

Ledger& Ledger::operator+=(const Ledger& other) {
  arrived += other.arrived;
  good += other.good;
  late += other.late;
  cut += other.cut;
  rejected += other.rejected;
  unfinished += other.unfinished;
  return *this;
}

}  // namespace arqon::serving
