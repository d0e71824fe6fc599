"""Counters and their figures."""

# DIVERGENCE's reference case for claimed against experienced: 4,000 orders, 3,600 of them claimed on time.
REFERENCE = {
    "completed": 4_100,
    "pending": 100,
    "delivered": 4_000,
    "on_time": 3_600,
    "on_time:stated": 4_000,
    "on_time_first": 3_400,
    "on_time_first:stated": 4_000,
    "on_time:10": 50,
    "on_time:11": 800,
    "on_time:00": 145,
    "on_time:01": 5,
    "delivered:answered": 1_000,
    "on_time:answered": 850,
    "on_time:detractor": 80,
    "contactable": 3_800,
    "asked": 3_500,
    "answered": 1_020,
    "not_asked:no_consent": 200,
    "not_asked:asked_recently": 300,
}
