sn_verdict_set(v, SN_BUG, "known.code", "x");
sn_verdict_set(&v->verdict, SN_BUG,
               "unknown.code", "x");
