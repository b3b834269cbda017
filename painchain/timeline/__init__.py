"""Reading events: filters, pages, histograms and facets."""
