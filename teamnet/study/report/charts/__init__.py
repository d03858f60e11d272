"""The charts of the report page, as specs of Vega-Lite."""
