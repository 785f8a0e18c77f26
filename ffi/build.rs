//! Compiles the shim.

fn main() {
    let sources = ["c/aio.c", "c/file.c", "c/map.c", "c/memory.c", "c/mount.c", "c/uffd.c"];
    for path in sources.iter().chain(&["c/shim.h"]) {
        println!("cargo::rerun-if-changed={path}");
    }
    cc::Build::new().files(sources).std("gnu11").warnings(true).extra_warnings(true).compile("foliofuzz_shim");
}
