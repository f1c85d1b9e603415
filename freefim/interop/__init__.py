"""Optional clients: networks of torch, spectra measured by other tools."""
