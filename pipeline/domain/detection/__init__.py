"""The detector of divergence: pairs, evidence, baselines, alert rules and confidence intervals."""
