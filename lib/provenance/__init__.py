"""What is made is marked as synthetic: signed Content Credentials (C2PA), the IPTC digital source type, and a label to be seen."""
