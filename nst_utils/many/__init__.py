"""Many pictures: sweeps over settings, folders of photographs, in one process or on a cluster."""
