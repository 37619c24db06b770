appliance {
  interface = phone.name # ERROR: Value not known here
}
locals {
  url    = server.url
  broken = local.nowhere
  a      = local.b
  b      = local.a
}
network "office" {
  subnet     = local.url       # ERROR: Value not known here
  interface  = "eth0"
  domain     = local.broken    # ERROR: Value not known here
  lease_time = local.a         # ERROR: Value not known here
  routers    = [local.nowhere] # ERROR: Unsupported attribute
  dynamic "host" {
    for_each = phones # every argument that depends on it has no value
    labels   = ["02:00:5e:10:00:01"]
    content {
      address = host.value.address # ERROR: Value not known here
    }
  }
}
