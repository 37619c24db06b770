appliance {
  interface = "eth0"
  files_dir = /srv/dialtone # ERROR: Missing quotes
}
