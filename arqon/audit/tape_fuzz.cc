// Any bytes as a tape: whatever the loop asks of it, an answer comes that makes sense to a loop.
#include <cstddef>
#include <cstdint>

#include "arqon/audit/tape.h"
#include "arqon/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arqon;  // NOLINT(google-build-using-namespace)
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  serving::Capabilities caps;
  caps.knobs = {{.name = "main.batch_size", .min = 1, .max = 64}};
  caps.boot = {8};
  caps.classes = {{.name = "chat"}};
  audit::Player first(bytes);
  if (const wire::Array* run = first.next("run", "begins"); run != nullptr && run->size() == 2) {
    const wire::Value* found = (*run)[1].find("capabilities");
    if (auto read = found == nullptr ? Result<serving::Capabilities>(caps)
                                     : audit::read_capabilities(*found)) {
      caps = std::move(*read);
    }
  }
  // Each kind of question at each line.
  audit::Player player(bytes);
  audit::PlayedEngine engine(player, caps);
  audit::PlayedClock clock(player);
  for (int i = 0; i < 64 && !player.over(); ++i) {
    audit::Player fresh = player;
    audit::PlayedEngine other(fresh, caps);
    const serving::Observation seen = other.observe();
    ARQON_ASSERT(seen.classes.size() == caps.classes.size());
    ARQON_ASSERT(seen.effective.size() == caps.boot.size());
    (void)engine.health();
    (void)clock.now();
    (void)engine.apply(caps.boot);
    (void)engine.renew(Duration(1));
    (void)audit::played_flag(player, "f", "asks");
    (void)audit::played_answer(player, 1);
  }
  return 0;
}
