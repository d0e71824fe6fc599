"""Tables as files: CSV, Excel and Parquet, with the filters of their page."""
