# The words of everyday work. Each is a step of scripts/test, so that here and in CI they mean the same.

# Lists the recipes.
default:
    @just --list

# Formatting, lints, all tests, documentation: what CI runs.
check:
    ./scripts/test

# Formats the Rust code.
fmt:
    cargo fmt --all

# Lints, warnings as errors.
clippy:
    ./scripts/test clippy

# The tests without the lints.
test:
    ./scripts/test tools packages rust doctest sdk web binary browser

# The chat in real browsers alone.
browser:
    ./scripts/test packages binary browser

# Side by side with Mosquitto; see docs/BENCHMARKS.md.
bench *options:
    ./scripts/bench {{options}}

# The server killed 200 times under load, and its disk full 100 times; POINTSMAN_CRASH_SEED repeats a run.
crash:
    POINTSMAN_CRASH_KILLS=200 cargo test -p pointsman-tests --test it crash::sessions -- --nocapture --test-threads=1
