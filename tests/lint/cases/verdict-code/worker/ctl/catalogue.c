{ "known.code", "a", "b", "c" },
