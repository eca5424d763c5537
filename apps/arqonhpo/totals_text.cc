#include "apps/arqonhpo/totals_text.h"

#include "apps/arqonhpo/console.h"
#include "arqon/report/words.h"

namespace arqon::app {
namespace {

std::vector<std::string> ledger_row(const std::string& name, const serving::Ledger& ledger,
                                    const std::string& target) {
  std::vector<std::string> row{name};
  for (const std::uint64_t n :
       {ledger.arrived, ledger.good, ledger.late, ledger.cut, ledger.rejected, ledger.unfinished}) {
    row.push_back(report::count(static_cast<double>(n)));
  }
  row.push_back(report::percent(ledger.attainment()));
  row.push_back(target);
  return row;
}

}  // namespace

std::string ledger_table(const std::vector<serving::Slo>& classes, const serving::Totals& totals) {
  std::vector<std::vector<std::string>> rows{{"class", "arrived", "good", "late", "cut", "rejected",
                                              "unfinished", "good share", "target"}};
  for (std::size_t c = 0; c < totals.classes.size(); ++c) {
    const serving::ClassResult& result = totals.classes[c];
    const double target = c < classes.size() ? classes[c].attainment : 1;
    rows.push_back(ledger_row(result.name, result.ledger, report::percent(target, 1)));
  }
  if (totals.classes.size() > 1) rows.push_back(ledger_row("all", totals.ledger, ""));
  return text_table(rows);
}

std::string latency_table(const serving::Totals& totals) {
  std::vector<std::vector<std::string>> rows{{"", "mean", "p50", "p90", "p95", "p99"}};
  const auto add = [&](const std::string& name, const serving::Quantiles& q) {
    std::vector<std::string> row{name};
    for (const double v : {q.mean, q.p50, q.p90, q.p95, q.p99}) {
      row.push_back(q.n == 0 ? "-" : report::milliseconds(v));
    }
    rows.push_back(std::move(row));
  };
  add("time to first token", totals.ttft_ms);
  add("time per token after it", totals.tpot_ms);
  add("largest gap", totals.max_gap_ms);
  add("end to end", totals.e2e_ms);
  return text_table(rows);
}

}  // namespace arqon::app
