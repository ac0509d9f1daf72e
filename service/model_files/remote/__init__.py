"""Models that lie elsewhere: fetched whole, within bounds, and looked for again. No caller names one."""
