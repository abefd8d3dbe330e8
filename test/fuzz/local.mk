# Fuzz targets: fuzz_<module>.c defines LLVMFuzzerTestOneInput. With --enable-fuzz it is linked with
# libFuzzer as test/fuzz/fuzz_<module>; always, `make check` replays corpus/<module>/ through the
# same function (replay_<module>, main in replay.c).
