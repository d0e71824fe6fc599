"""The dashboard: its route, the values of each panel, and the chart."""
