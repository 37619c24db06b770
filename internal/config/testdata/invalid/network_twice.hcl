appliance {
  interface = "eth0"
}
network "office" {
  subnet = "192.168.50.0/24"
}
network "office" { # ERROR: Duplicate name
  subnet = "192.168.51.0/24"
}
network "" { # ERROR: Missing name
  subnet = "192.168.52.0/24"
}
vendor_class "pxe" {
  match = "PXEClient"
}
vendor_class "pxe" { # ERROR: Duplicate name
  match = "HTTPClient"
}
