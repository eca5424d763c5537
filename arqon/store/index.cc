#include "arqon/store/index.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <system_error>
#include <utility>

#include "arqon/audit/record.h"
#include "arqon/audit/verify.h"

namespace arqon::store {
namespace {

namespace fs = std::filesystem;

constexpr int kBusyMs = 5000;
constexpr const char* kTables =
    "CREATE TABLE chain (id TEXT NOT NULL);"
    "CREATE TABLE records (seq INTEGER PRIMARY KEY, actor TEXT NOT NULL, action TEXT NOT NULL,"
    "  line TEXT NOT NULL);"
    "CREATE TABLE moves (knob TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (knob, seq))"
    "  WITHOUT ROWID;"
    "CREATE INDEX records_by_action ON records (action, seq);";
constexpr const char* kFind =
    "SELECT line FROM (SELECT seq, line FROM records WHERE (?1 = '' OR action = ?1)"
    "  AND (?2 = '' OR actor = ?2) AND seq >= ?3 AND (?4 = 0 OR seq <= ?4)"
    "  AND (?5 = '' OR seq IN (SELECT seq FROM moves WHERE knob = ?5))"
    "  ORDER BY seq DESC LIMIT ?6) ORDER BY seq";

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

void put(sqlite3_stmt* s, int at, std::string_view text) {
  sqlite3_bind_text64(s, at, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}
void put(sqlite3_stmt* s, int at, std::uint64_t number) {
  sqlite3_bind_int64(s, at, static_cast<sqlite3_int64>(number));
}

std::string column(sqlite3_stmt* s, int at) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(s, at));
  return text == nullptr ? "" : std::string(text, static_cast<std::size_t>(
                                                      sqlite3_column_bytes(s, at)));
}

}  // namespace

struct Index::Connection {
  ~Connection() { sqlite3_close_v2(db); }

  tl::unexpected<Error> error() const {
    return fail(ErrorCode::kUnavailable, fmt::format("the index: {}", sqlite3_errmsg(db)));
  }
  Status run(const char* sql) const {
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error();
    return {};
  }
  Result<Statement> prepare(const char* sql) const {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(db, sql, -1, &raw, nullptr) != SQLITE_OK) return error();
    return Statement(raw);
  }
  // The first column of the first row; empty when there is none.
  Result<std::string> ask(const char* sql) const {
    auto statement = prepare(sql);
    if (!statement) return tl::unexpected(statement.error());
    const int step = sqlite3_step(statement->get());
    if (step == SQLITE_DONE) return std::string();
    if (step != SQLITE_ROW) return error();
    return column(statement->get(), 0);
  }
  Status make() const {
    if (Status done = run("BEGIN IMMEDIATE"); !done) return done;
    const auto version = ask("PRAGMA user_version");
    if (version && *version == fmt::format("{}", kSchema)) return run("ROLLBACK");  // by another
    Status done = run(kTables);
    if (done) done = run(fmt::format("PRAGMA user_version = {}", kSchema).c_str());
    if (!done) {
      (void)run("ROLLBACK");
      return done;
    }
    return run("COMMIT");
  }

  sqlite3* db = nullptr;
};

Index::Index(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;
Index::~Index() = default;

Result<Index> Index::open(const fs::path& file, const std::string& vfs) {
  for (const bool again : {false, true}) {
    auto connection = std::make_unique<Connection>();
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    const char* name = vfs.empty() ? nullptr : vfs.c_str();
    if (sqlite3_open_v2(file.c_str(), &connection->db, flags, name) != SQLITE_OK) {
      return connection->error();
    }
    sqlite3_busy_timeout(connection->db, kBusyMs);
    const auto sound = connection->ask("PRAGMA quick_check(1)");
    const auto version = connection->ask("PRAGMA user_version");
    const auto tables = connection->ask("SELECT count(*) FROM sqlite_master");
    const int code = sqlite3_errcode(connection->db);
    const bool fresh = tables && *tables == "0" && version && *version == "0";
    const bool ours = sound && *sound == "ok" && version &&
                      *version == fmt::format("{}", kSchema);
    if (fresh) {
      if (Status made = connection->make(); !made) return tl::unexpected(made.error());
    }
    if (fresh || ours) {
      Index index(std::move(connection));
      index.made_anew_ = again;
      return index;
    }
    // Anything but a file that is no index of ours is the disk's trouble.
    const bool unusable = (sound && version) || code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    if (!unusable || again) return connection->error();
    connection.reset();
    sqlite3_vfs* system = sqlite3_vfs_find(name);
    for (const char* suffix : {"", "-journal"}) {
      // What is not there need not go.
      (void)system->xDelete(system, (file.string() + suffix).c_str(), 1);
    }
  }
  return fail(ErrorCode::kUnavailable, "the index cannot be made");
}

Result<std::uint64_t> Index::last() const {
  const auto text = connection_->ask("SELECT max(seq) FROM records");
  if (!text) return tl::unexpected(text.error());
  return text->empty() ? 0 : std::stoull(*text);
}

namespace {

// The names of the slots that a run's first record tells.
void read_knobs(const audit::Record& begin, std::vector<std::string>& knobs) {
  knobs.clear();
  const wire::Value* list = begin.note.find("knobs");
  const wire::Array* names = list == nullptr ? nullptr : list->as_array();
  for (const wire::Value& name : names == nullptr ? wire::Array{} : *names) {
    knobs.push_back(name.as_string() == nullptr ? "" : *name.as_string());
  }
}

bool step(sqlite3_stmt* statement) {
  const bool done = sqlite3_step(statement) == SQLITE_DONE;
  sqlite3_reset(statement);
  return done;
}

}  // namespace

Status Index::follow(os::Disk& disk, const fs::path& folder) {
  const auto known = last();
  if (!known) return tl::unexpected(known.error());
  if (Status begun = connection_->run("BEGIN IMMEDIATE"); !begun) return begun;
  auto record = connection_->prepare("INSERT OR IGNORE INTO records VALUES (?1, ?2, ?3, ?4)");
  auto move = connection_->prepare("INSERT OR IGNORE INTO moves VALUES (?1, ?2)");
  if (!record || !move) return connection_->error();
  std::vector<std::string> knobs;
  bool good = true;
  audit::VerifyOptions options;
  options.tapes = false;
  options.on_line = [&](std::uint64_t seq, std::string_view json, std::string_view) {
    const auto line = audit::decode(json);
    if (!line) return;
    const audit::Record& r = line->record;
    if (r.action == "begin") read_knobs(r, knobs);
    if (seq <= *known) return;
    put(record->get(), 1, seq);
    put(record->get(), 2, r.actor);
    put(record->get(), 3, r.action);
    put(record->get(), 4, json);
    good = good && step(record->get());
    for (std::size_t i = 0; i < r.after.size() && i < r.before.size(); ++i) {
      if (r.after[i] == r.before[i] || i >= knobs.size()) continue;
      put(move->get(), 1, knobs[i]);
      put(move->get(), 2, seq);
      good = good && step(move->get());
    }
  };
  const auto verified = audit::verify(disk, folder, options);
  Status done;
  if (!verified) {
    done = tl::unexpected(verified.error());
  } else if (verified->finding && !verified->torn) {
    done = fail(ErrorCode::kConflict, to_text(*verified->finding));
  } else if (!good) {
    done = connection_->error();
  }
  record->reset();
  move->reset();
  if (!done) {
    (void)connection_->run("ROLLBACK");
    return done;
  }
  // An index of another chain, or of more than there is now, is an index of nothing.
  const auto chain = connection_->ask("SELECT id FROM chain");
  const std::string id(audit::view(verified->chain));
  const bool other = chain && !chain->empty() && *chain != id;
  if (other || *known > verified->records) {
    done = connection_->run("DELETE FROM records; DELETE FROM moves; DELETE FROM chain; COMMIT");
    return done ? follow(disk, folder) : done;
  }
  if (chain && chain->empty()) {
    done = connection_->run(fmt::format("INSERT INTO chain VALUES ('{}')", id).c_str());
  }
  if (done) done = connection_->run("COMMIT");
  if (!done) (void)connection_->run("ROLLBACK");
  return done;
}

Result<std::vector<std::string>> Index::find(const Query& query) const {
  auto statement = connection_->prepare(kFind);
  if (!statement) return tl::unexpected(statement.error());
  sqlite3_stmt* s = statement->get();
  put(s, 1, query.action);
  put(s, 2, query.actor);
  put(s, 3, query.from);
  put(s, 4, query.to);
  put(s, 5, query.knob);
  put(s, 6, query.limit);
  std::vector<std::string> lines;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(s)) == SQLITE_ROW) lines.push_back(column(s, 0));
  if (code != SQLITE_DONE) return connection_->error();
  return lines;
}

}  // namespace arqon::store
