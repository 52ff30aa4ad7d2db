"""The RetinaNet (Lin et al. 2017, "Focal Loss for Dense Object Detection"), composed of torchvision's parts."""
