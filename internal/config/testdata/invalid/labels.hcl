appliance {}
appliance "x" {} # ERROR: Extraneous label for appliance
network { # ERROR: Missing name for network
  subnet = "192.168.50.0/24"
}
phone {} # ERROR: Missing mac for phone
profile "a" "b" {} # ERROR: Extraneous label for profile
