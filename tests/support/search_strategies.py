"""Hypothesis strategies for searches: parts of the search language in any order."""

from hypothesis import strategies as st

from painchain.indexes import search_query

NAMES = st.sampled_from([*search_query.QUALIFIERS, "nonsense", "", "-", "SOURCE"])
VALUES = st.sampled_from(
    [
        *("github", "ConfigChanged", "config_changed", '"Work GitHub"', "system", "2", "a,b", '"', "", "poll_interval"),
        *("2026-01-15", '"2026-01-15 14:00"', "14:00", "today", "2026-01-01..2026-01-31", "..", "9999-12-31"),
        *("~2h", '"2026-01-15 14:00"~2h', "~", "0000-00-00", "99:99", "*", "***", "a*", "NEAR(a b)", "a' OR 1=1 --"),
        *("AND", "OR", "NOT", "(", ")", "^", "{a}", "a & b", "!", "|", "<->", ":*", "\\", "%", "_", "größe", "設定"),
        *("\ud7ff", "\u0300", "\u202e", "１２", "Å", "ß", "🚀", "1e5", "-5", "0x1f", "w", "q"),
    ]
)
TERMS = st.tuples(st.sampled_from(["", "-", "--", '"']), NAMES, st.sampled_from([":", "", "::"]), VALUES).map("".join)
SEARCHES = st.lists(TERMS | VALUES, max_size=8).map(" ".join)
