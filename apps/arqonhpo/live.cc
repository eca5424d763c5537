#include "apps/arqonhpo/live.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "apps/arqonhpo/agent_process.h"
#include "apps/arqonhpo/audit_trail.h"
#include "apps/arqonhpo/desk.h"
#include "apps/arqonhpo/scenario_file.h"
#include "apps/arqonhpo/state_folder.h"
#include "apps/arqonhpo/tally.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/adapters/adapter.h"
#include "arqon/compare/evaluate.h"
#include "arqon/compare/summary.h"
#include "arqon/control/loop.h"
#include "arqon/report/words.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::app {
namespace {

using documents::Scenario;

// In the order of control::Mode.
constexpr std::array<std::string_view, 4> kModes{"observe", "recommend", "approve", "auto"};

std::vector<std::string> engine_names() {
  std::vector<std::string> names;
  for (const adapters::Adapter& adapter : adapters::registry()) names.emplace_back(adapter.name);
  return names;
}

// Options that only a comparison has a use for.
Status check_args(const TuneArgs& args) {
  if (!args.strategies.empty() || !args.seeds.empty() || args.recompute_baselines) {
    return fail(ErrorCode::kUsage,
                "--strategies goes with --compare, --seeds and --recompute-baselines with the "
                "simulated engine: a live one serves its traffic once");
  }
  return {};
}

void complain(const wire::Diagnostics& problems, const Scenario& scenario, const Console& console) {
  for (const wire::Diagnostic& problem : problems) {
    console.talk(wire::to_string(problem, scenario.name) + "\n");
  }
}

Result<Scenario> fitted(const Scenario& scenario, const serving::Engine& engine,
                        const Console& console) {
  auto out = documents::fit(scenario, engine.capabilities().knobs);
  if (out) return std::move(*out);
  complain(out.error(), scenario, console);
  const std::size_t n = out.error().size();
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("{}: {} {} with what the engine offers; nothing was done", scenario.name,
                          n, n == 1 ? "problem" : "problems"));
}

bool same_knobs(const Space& space, const std::vector<Parameter>& knobs) {
  return std::equal(space.parameters().begin(), space.parameters().end(), knobs.begin(),
                    knobs.end(), [](const Parameter& a, const Parameter& b) {
                      return a.name == b.name && a.min == b.min && a.max == b.max &&
                             a.grid_step() == b.grid_step() && a.change_class == b.change_class;
                    });
}

// What a person sees pass by: one line a window.
std::string window_line(const control::WindowRecord& w, const Space& knobs) {
  double good = 0, all = 0;
  for (const control::ClassWindow& c : w.classes) {
    good += static_cast<double>(c.good);
    all += static_cast<double>(c.good + c.bad);
  }
  const std::string share =
      all > 0 ? fmt::format("{} good of {}", report::percent(good / all), report::count(all))
              : std::string("no request ended");
  return fmt::format("{:>8}  {:<24}  {:.0f} running  {:.0f} waiting  {}  [{}]\n",
                     report::clock_text(w.t_s), share, w.running, w.waiting,
                     report::setting_text(knobs, w.values), w.state);
}

// Everything of one live run.
class LiveRun {
 public:
  LiveRun(const TuneArgs& args, const Places& places, const std::atomic<bool>& stop,
          Console& console)
      : args_(args), places_(places), stop_(stop), console_(console) {}

  Result<int> run(const Scenario& document) {
    auto state = StateFolder::open(places_.state);
    if (!state) return tl::unexpected(state.error());
    auto attached = attach(document, clock_, console_);
    if (!attached) return tl::unexpected(attached.error());
    scenario_ = std::move(attached->scenario);
    engine_ = std::move(attached->engine);
    auto agent = agent_for(scenario_, places_.state, *engine_, clock_);
    if (!agent) return tl::unexpected(agent.error());
    agent_ = std::move(*agent);
    tally_.emplace(agent_ != nullptr ? static_cast<serving::Engine&>(*agent_) : *engine_);
    if (Status ready = open_desk(); !ready) return tl::unexpected(ready.error());
    auto trail = AuditTrail::open({places_.state, args_.audit_witness, args_.quiet}, *tally_,
                                  clock_, console_);
    if (!trail) return tl::unexpected(trail.error());
    trail_ = std::move(*trail);
    if (desk_->frozen()) {
      console_.talk(
          "the state is frozen: ArqonHPO observes and changes nothing until "
          "`arqonhpo resume`\n");
    }
    return tune();
  }

 private:
  Status open_desk() {
    auto log = DecisionLog::open(places_.state);
    if (!log) return tl::unexpected(log.error());
    log_.emplace(std::move(*log));
    feed_.emplace(scenario_.seed, scenario_.knobs);
    const serving::Capabilities& caps = engine_->capabilities();
    auto desk = Desk::open(
        places_.state,
        {scenario_.name, caps.identity.engine.empty() ? caps.engine : caps.identity.engine,
         std::string(kModes[static_cast<std::size_t>(scenario_.mode)]), scenario_.knobs});
    if (!desk) return tl::unexpected(desk.error());
    desk_ = std::move(*desk);
    supervisor_.emplace(*this);
    return {};
  }

  // The desk, and after each look of the loop what was decided goes to the disk.
  class Watching final : public control::Supervisor {
   public:
    explicit Watching(LiveRun& run) : run_(run) {}
    bool frozen() override { return run_.broken_ || run_.desk_->frozen(); }
    bool paused() override { return run_.desk_->paused(); }
    bool take_rollback() override { return run_.desk_->take_rollback(); }
    control::Answer answer(std::uint64_t decision) override { return run_.desk_->answer(decision); }
    void report(const control::LoopStatus& status) override {
      run_.keep_record();
      run_.desk_->report(status);
    }

   private:
    LiveRun& run_;
  };

  // A record that cannot be kept ends all changes, aloud.
  void keep_record() {
    if (loop_ == nullptr || broken_) return;
    const std::vector<wire::Value> fresh = feed_->take(loop_->record());
    trail_->keep(fresh);
    Status kept = log_->append(fresh);
    const auto& decisions = loop_->record().decisions;
    for (; kept && seen_ < decisions.size(); ++seen_) {
      const std::string& action = decisions[seen_].action;
      if (action == "confirm" || action == "rollback") kept = keep_confirmed();
    }
    if (kept) return;
    broken_ = true;
    console_.talk(fmt::format("{}: the record cannot be written, so nothing is changed any more\n",
                              kept.error().message));
  }

  Status keep_confirmed() {
    const control::RunRecord& record = loop_->record();
    return save_learned(places_.state, scenario_,
                        {loop_->confirmed(), engine_->capabilities().identity,
                         record.windows.size(), record.decisions.size(),
                         to_seconds(clock_.now() - loop_->begun())});
  }

  control::LoopOptions loop_options() {
    control::LoopOptions options = compare::loop_options(scenario_, scenario_.seed);
    options.stop = &stop_;
    options.supervisor = &trail_->supervise(*supervisor_);
    options.before_write = [this](const control::WriteNotice& w) { trail_->explain(w); };
    options.on_window = [this](const control::WindowRecord& w) {
      desk_->window(w);
      keep_record();
      if (!args_.quiet) console_.talk(window_line(w, scenario_.knobs));
    };
    return options;
  }

  Result<int> tune() {
    auto loop = control::Loop::create(trail_->engine(), trail_->clock(), loop_options());
    if (!loop) return tl::unexpected(loop.error());
    loop_ = &*loop;
    const double seconds = args_.seconds.value_or(scenario_.duration_s);
    if (!args_.quiet) console_.talk(greeting(seconds));
    const TimePoint end = clock_.now() + from_seconds(seconds);
    if (Status begun = trail_->begin(scenario_, end); !begun) return tl::unexpected(begun.error());
    const Status ran = loop->run_until(end);
    keep_record();
    const Status kept = trail_->end();
    if (!kept) console_.talk(fmt::format("{}\n", kept.error().message));
    scenario_.duration_s = std::max(1.0, to_seconds(clock_.now() - loop->begun()));
    if (agent_ != nullptr) (void)agent_->release();
    const Result<int> written = write(*loop);
    loop_ = nullptr;
    if (!ran) return tl::unexpected(ran.error());
    return written;
  }

  std::string greeting(double seconds) const {
    const serving::Capabilities& caps = engine_->capabilities();
    std::string out =
        fmt::format("attached to {}{}{}, mode {}, for {}; state in {}\n",
                    caps.identity.engine.empty() ? caps.engine : caps.identity.engine,
                    caps.identity.model.empty() ? "" : " serving ", caps.identity.model,
                    kModes[static_cast<std::size_t>(scenario_.mode)],
                    report::duration_text(seconds), places_.state.string());
    return out + fmt::format("found {}\n", report::setting_text(scenario_.knobs, caps.boot));
  }

  Result<int> write(const control::Loop& loop) {
    documents::TuneResult result;
    result.scenario = scenario_.name;
    result.measure = scenario_.measure;
    result.build = build_id();
    documents::StrategyRun run{.strategy = "arqonhpo", .seed = scenario_.seed};
    run.record = loop.record();
    run.totals = tally_->totals(run.record);
    run.note = fmt::format("ends at {}", report::setting_text(scenario_.knobs, loop.confirmed()));
    result.runs.push_back(std::move(run));
    result.summary = compare::summarise(scenario_, result.runs);
    result.remarks.push_back(
        fmt::format("Measured on a live engine ({}); there is no other run of the same traffic to "
                    "compare with.",
                    engine_->capabilities().engine));
    const std::string json = documents::to_json(result, scenario_);
    Status done = keep_confirmed();
    if (done) done = write_results(result, scenario_, places_, json);
    if (done) {
      done =
          console_.data(args_.json ? json + "\n" : tune_text(result, scenario_, places_, console_));
    }
    if (!done) return tl::unexpected(done.error());
    if (!stop_.load()) return 0;
    console_.talk(fmt::format("interrupted: what was finished is in {}\n", places_.out.string()));
    return exit_code(ErrorCode::kInterrupted);
  }

  const TuneArgs& args_;
  const Places& places_;
  const std::atomic<bool>& stop_;
  Console& console_;
  os::SystemClock clock_;
  Scenario scenario_;
  std::unique_ptr<serving::Engine> engine_;
  std::unique_ptr<agent::Client> agent_;  // null where the engine keeps the way back itself
  std::optional<Tally> tally_;
  std::optional<DecisionLog> log_;
  std::optional<DecisionFeed> feed_;
  std::optional<Watching> supervisor_;
  const control::Loop* loop_ = nullptr;
  std::size_t seen_ = 0;
  bool broken_ = false;
  std::unique_ptr<Desk> desk_;
  std::unique_ptr<AuditTrail> trail_;  // uses what stands above
};

}  // namespace

Status check_engine(const Scenario& scenario) {
  if (!scenario.live() || adapters::find(scenario.target_engine) != nullptr) return {};
  std::vector<std::string> known = engine_names();
  known.emplace_back("simulated");
  const std::string near = wire::nearest_name(scenario.target_engine, known);
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("there is no engine \"{}\"{}; known: {}", scenario.target_engine,
                          near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near),
                          fmt::join(known, ", ")));
}

Result<Attached> attach(const Scenario& scenario, Clock& clock, const Console& console,
                        bool actuator_only) {
  if (Status known = check_engine(scenario); !known) {
    return tl::unexpected(known.error().with_context("target.engine"));
  }
  const adapters::Adapter& adapter = *adapters::find(scenario.target_engine);
  const auto attach_with = [&](const std::vector<Parameter>& knobs) {
    return adapter.attach({scenario.target, knobs, scenario.classes, clock, actuator_only});
  };
  auto engine = attach_with(scenario.knobs.parameters());
  if (!engine) return tl::unexpected(engine.error().with_context(scenario.target_engine));
  auto whole = fitted(scenario, **engine, console);
  if (!whole) return tl::unexpected(whole.error());
  if (!same_knobs(whole->knobs, (*engine)->capabilities().knobs)) {
    // The first look said what the engine offers; now what the document asks for.
    engine->reset();
    engine = attach_with(whole->knobs.parameters());
    if (!engine) return tl::unexpected(engine.error().with_context(scenario.target_engine));
    whole = fitted(scenario, **engine, console);
    if (!whole) return tl::unexpected(whole.error());
  }
  return Attached{std::move(*engine), std::move(*whole)};
}

Result<int> tune_live(const TuneArgs& args, const Scenario& scenario, const Places& places,
                      const std::atomic<bool>& stop, Console& console) {
  if (Status good = check_args(args); !good) return tl::unexpected(good.error());
  if (Status known = check_engine(scenario); !known) {
    return tl::unexpected(known.error().with_context("target.engine"));
  }
  Scenario document = scenario;
  if (!args.mode.empty()) {
    const auto found = std::find(kModes.begin(), kModes.end(), args.mode);
    document.mode = static_cast<control::Mode>(found - kModes.begin());
  }
  if (Status ready = prepare_places(places); !ready) return tl::unexpected(ready.error());
  return LiveRun(args, places, stop, console).run(document);
}

}  // namespace arqon::app
